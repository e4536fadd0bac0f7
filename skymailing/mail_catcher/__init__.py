"""The mail catcher for development, which stores letters instead of sending them, and shows them on pages."""
