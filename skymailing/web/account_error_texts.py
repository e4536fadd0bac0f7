"""Define the texts of errors about accounts and sign-in, for `error_texts.py`."""

from typing import Any

from flask_babel import lazy_gettext as _l

ACCOUNT_ERROR_TEXTS: dict[str, Any] = {
    "account_exists": _l("There is already an account with the address %(email)s."),
    "account_forbidden": _l("You cannot change this account."),
    "account_last_admin": _l("This is the last administrator. Make someone else an administrator first."),
    "account_deletion_started": _l("It is too late: your account is being deleted."),
    "password_too_short": _l("The password must have at least %(length)d characters."),
    "password_too_long": _l("The password is longer than %(length)d characters."),
    "password_too_common": _l("This password is too easy to guess. Please choose another one."),
    "password_like_email": _l("Please choose a password that differs from your email address."),
    "link_invalid": _l("This link does not work."),
    "link_expired": _l("This link has expired."),
    "link_used": _l("This link has already been used."),
    "identity_account_exists": _l(
        "There is already an account with the address %(email)s. Sign in with your password, then connect "
        "the two in your profile."
    ),
    "identity_taken": _l("This account is already connected with another one."),
    "identity_too_late": _l("Connecting took too long. Please try again."),
    "identity_unknown": _l("No account is connected with your account at %(name)s."),
    "identity_unverified": _l("The other service has not confirmed your email address."),
    "provider_cancelled": _l("Signing in with %(name)s was cancelled."),
    "provider_failed": _l("Signing in with %(name)s does not work at the moment."),
    "passkey_refused": _l("The passkey was not accepted. Please try again."),
    "passkey_too_late": _l("The passkey was chosen too late. Please try again."),
    "passkey_unknown": _l("This passkey has been removed from your account. Sign in with your password."),
    "passkey_exists": _l("This passkey has already been added."),
    "passkey_limit": _l("You already have %(limit)d passkeys. Remove one first."),
}
