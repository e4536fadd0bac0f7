"""Logs: one line per event, without secrets."""
