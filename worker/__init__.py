"""Streaming reranker worker: candidate lists in from Kafka, reranked lists out, under a latency budget."""

__version__ = "0.1.0"
