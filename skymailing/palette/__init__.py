"""The command palette: find a page, client, message or mailing by a few letters."""
