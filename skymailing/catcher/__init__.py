"""The mail catcher of development: keeps letters on disk and shows them."""
