"""Tests of worker/status."""
