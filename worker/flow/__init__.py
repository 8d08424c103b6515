"""What travels through the worker, and the channels and threads that carry it."""
