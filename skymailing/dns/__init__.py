"""Questions to DNS, and what the records of a mail domain say."""
