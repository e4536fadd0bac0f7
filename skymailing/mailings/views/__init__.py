"""The pages of mailings."""
