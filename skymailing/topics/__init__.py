"""Topics: what mailings are about, which people can leave without unsubscribing from everything."""
