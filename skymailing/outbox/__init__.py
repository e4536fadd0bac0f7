"""Account letters: stored with the change they report, sent later by a worker."""
