"""The mail catcher for development: it keeps letters instead of sending them."""
