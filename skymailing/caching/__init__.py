"""Pages and values kept between requests, and how they stay true (docs/caching.md)."""
