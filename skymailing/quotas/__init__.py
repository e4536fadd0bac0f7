"""Limits per user: counting, checks and usage."""
