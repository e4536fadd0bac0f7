"""Webhooks: send an owner's events to the owner's own programs (Standard Webhooks)."""
