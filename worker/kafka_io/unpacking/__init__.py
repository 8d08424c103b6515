"""Takes batches of records apart within a bound on memory."""
