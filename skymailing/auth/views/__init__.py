"""Account pages: sign-in, profile, devices, two-factor authentication, export and deletion."""

from skymailing.auth.views import (
    api_keys,
    data,
    devices,
    email,
    passkeys,
    passwords,
    provider,
    sign_in,
    test_letters,
    two_factor,
)
from skymailing.auth.views.blueprint import bp

__all__ = [
    "BLUEPRINTS",
    "api_keys",
    "devices",
    "email",
    "passkeys",
    "passwords",
    "provider",
    "sign_in",
    "test_letters",
    "two_factor",
]

BLUEPRINTS = (bp, data.bp)
