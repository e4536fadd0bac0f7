"""Mail servers: circuit breakers, sessions, rate limits and recipient domains."""
