"""Account letters: stored together with the change that they report, and sent later by a worker."""
