"""Sequences as a generator of runs: who enters, when each step is due, and the letters of the due steps."""
