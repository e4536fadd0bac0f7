"""Signing up, in and out; the profile."""
