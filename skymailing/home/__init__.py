"""The public home page and the health checks."""
