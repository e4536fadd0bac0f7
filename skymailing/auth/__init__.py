"""Accounts: sign-up, sign-in, devices, two-factor authentication, data export and deletion."""
