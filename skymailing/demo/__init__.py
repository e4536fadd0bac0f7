"""A realistic example to look around in: people, texts, and mailings past, present and future."""
