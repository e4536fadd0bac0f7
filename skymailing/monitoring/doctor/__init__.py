"""Check everything that an operator can get wrong, and say what to do."""
