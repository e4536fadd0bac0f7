"""What the processes write about themselves: one line per event, with nothing in it that is secret."""
