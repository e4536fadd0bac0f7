"""The address book: clients, import, export and unsubscribing."""
