"""SMTP sessions: the connection, the protocol and pipelining."""
