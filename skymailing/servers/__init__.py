"""Owners' mail servers, which their senders can use instead of the installation's."""
