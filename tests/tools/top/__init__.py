"""Tests of worker/tools/top."""
