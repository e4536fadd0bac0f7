"""Pages and values cached between requests, and how they stay current (docs/caching.md)."""
