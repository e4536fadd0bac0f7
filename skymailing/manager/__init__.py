"""The manager panel at /manager/, for managers, content managers and administrators."""
