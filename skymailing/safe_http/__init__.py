"""Requests to addresses entered by users: only to public hosts, with limits on time and size."""
