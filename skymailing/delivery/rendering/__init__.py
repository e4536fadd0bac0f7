"""From a message and a client to the bytes of a letter."""
