"""Accounts: sign-up, sign-in, devices, two-factor authentication, export and deletion."""
