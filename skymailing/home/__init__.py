"""The home page, the guide for new users and the choice of language."""
