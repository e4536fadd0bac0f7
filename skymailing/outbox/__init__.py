"""Account letters: stored in the transaction of the change that they report, and sent later by a worker."""
