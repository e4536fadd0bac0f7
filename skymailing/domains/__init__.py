"""Domains that owners send from: proven, checked and signed with the help of DNS records."""
