"""Tests of worker/tools."""
