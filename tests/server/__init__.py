"""Tests of worker/server."""
