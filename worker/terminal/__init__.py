"""Text that a terminal can show and that does not steer it."""
