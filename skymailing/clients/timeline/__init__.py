"""A client's timeline: the client's events, newest first, from tables that exist for other reasons."""
