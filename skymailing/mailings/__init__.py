"""Mailings: planning, starting, watching, and their logs."""
