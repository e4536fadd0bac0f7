"""Helpers that tests of several rooms share: factories, and servers that a test starts."""
