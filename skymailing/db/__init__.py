"""The database engine's settings and keyset pagination."""
