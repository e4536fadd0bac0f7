"""Letters on the web: one's own letter in a browser, and owners' public archives."""
