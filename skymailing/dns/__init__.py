"""Query DNS, and read the records of a mail domain."""
