"""Check whether the links of a letter open; a worker opens them, never the web process."""
