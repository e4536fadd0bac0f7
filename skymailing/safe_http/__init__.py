"""Requests to addresses that users typed: only to public hosts, with limits on time and size."""
