"""`rerank-worker demo`."""
