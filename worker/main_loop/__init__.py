"""The main loop: it owns the consumer and every offset."""
