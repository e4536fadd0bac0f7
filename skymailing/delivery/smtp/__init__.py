"""Send letters over SMTP: connections, the protocol and pipelining."""
