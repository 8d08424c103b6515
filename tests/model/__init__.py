"""Tests of worker/model."""
