"""Mailings: set them up, start them, follow their progress and read their logs."""
