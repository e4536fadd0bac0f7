"""Calculate when a mailing runs: recurrence and sending hours."""
