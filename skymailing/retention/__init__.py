"""Remove old data as part of the sweep, in small batches that do not delay other work."""
