"""Cache pages and values between requests, and keep them current (docs/caching.md)."""
