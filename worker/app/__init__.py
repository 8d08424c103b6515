"""The process: puts the worker together, runs it, and takes it apart in order."""
