"""Senders: an owner's From addresses, each confirmed through its mailbox or domain."""
