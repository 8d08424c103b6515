"""What may be inside the worker at once, and in which order it may leave."""
