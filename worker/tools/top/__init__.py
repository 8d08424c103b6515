"""`rerank-worker top`: what one or several workers do, in a terminal."""
