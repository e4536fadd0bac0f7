"""Helpers for all tests: factories and the servers that tests start."""
