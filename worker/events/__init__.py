"""Events: the JSON Schemas, bytes to requests, logits to rankings, rankings to bytes."""
