"""Domains that owners send from: verification, daily checks and signatures, based on DNS records."""
