"""Checks, before a mailing starts, what decides whether its letters arrive in the inbox."""
