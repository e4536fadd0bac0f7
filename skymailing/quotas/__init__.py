"""Limits per user: counting, checks, and what a user has used up."""
