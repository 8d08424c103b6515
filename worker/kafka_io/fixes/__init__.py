"""What kafka-python 3.0 gets wrong, one file each, to be deleted when it is fixed upstream."""
