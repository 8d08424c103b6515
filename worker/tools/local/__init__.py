"""Brokers and workers as child processes on this machine."""
