"""Convert what mail providers post to our webhooks into reports."""
