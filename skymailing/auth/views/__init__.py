"""The pages of accounts: sign-in, profile, devices, two-factor authentication, export and deletion."""

from skymailing.auth.views import data, email, passwords, sessions, sign_in, two_factor
from skymailing.auth.views.blueprint import bp

__all__ = ["BLUEPRINTS", "email", "passwords", "sessions", "sign_in", "two_factor"]

BLUEPRINTS = (bp, data.bp)
