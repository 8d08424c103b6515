"""Metrics, log lines and the watchdog."""
