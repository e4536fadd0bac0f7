"""The public blog."""
