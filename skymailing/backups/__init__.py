"""Everything that the service keeps in one file, and what has to be done when it comes back."""
