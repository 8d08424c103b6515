"""Commands beside `run`: each imports the worker, never the other way round."""
