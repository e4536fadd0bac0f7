"""Domains that owners send from: their proof, checks and signatures, based on DNS records."""
