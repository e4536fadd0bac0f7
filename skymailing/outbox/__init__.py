"""Account letters: rows written with the change they report, sent by a worker."""
