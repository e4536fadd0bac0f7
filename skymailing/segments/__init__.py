"""Segments: saved conditions that select clients, their editor and their pages."""
