"""The address book: clients, their import and export, unsubscribing."""
