"""Remove old data: the sweep does it, in small batches that do not delay other work."""
