"""Render a message and a client into the bytes of a letter."""
