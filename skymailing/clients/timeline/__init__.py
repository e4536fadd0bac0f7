"""A client's timeline: what happened to one client, newest first, from the tables that record it anyway."""
