"""Mail servers of owners, which their senders can use instead of the installation's."""
