"""When a mailing runs: recurrence and sending hours."""
