"""Letters on the web: the recipient's letter in a browser, and owners' public archives."""
