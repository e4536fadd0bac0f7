"""Topics: the subjects of mailings, which people can leave without unsubscribing from everything."""
