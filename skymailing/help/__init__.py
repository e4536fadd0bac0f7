"""Help for users: a short page per task, in each language."""
