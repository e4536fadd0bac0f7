"""Segments: saved conditions over clients, their editor and their pages."""
