"""Webhooks of mail providers: what they post, as reports."""
