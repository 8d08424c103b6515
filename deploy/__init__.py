"""What deploys the worker; the parts that are Python make files that are kept beside them."""
