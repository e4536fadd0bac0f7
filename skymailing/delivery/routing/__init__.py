"""Choose a mail server and limit its use: circuit breakers, sessions, rates and recipient domains."""
