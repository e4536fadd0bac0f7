"""Senders: the From addresses of an owner, each confirmed by its mailbox."""
