"""Compose the HTML of messages that are made of blocks or written in MJML."""
