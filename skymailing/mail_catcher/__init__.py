"""The mail catcher for development: stores letters instead of sending them, and shows them on pages."""
