"""Removal of old data: done by the sweep, in small batches that do not hold up other work."""
