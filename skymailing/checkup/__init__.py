"""Check, before a mailing starts, whether its letters are likely to reach the inbox."""
