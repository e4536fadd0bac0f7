"""The mail servers that letters go to: entered as the engine does, and looked at for their encryption."""

import ipaddress
import smtplib
from contextlib import suppress
from typing import Any

from flask import current_app

from skymailing.delivery.smtp import connection
from skymailing.errors import SkyMailingError
from skymailing.monitoring import checks
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.site import certificate_end, judge_certificate

ADVICE = (
    "Check {prefix}SERVER, {prefix}PORT, {prefix}USE_TLS or {prefix}USE_SSL, {prefix}USERNAME and "
    "{prefix}PASSWORD."
)


def check_mail_servers() -> list[Check]:
    """Connect, greet, encrypt and sign in at each configured server as the service would."""
    config = current_app.config
    found = [_check("mail-server", "MAIL_", current_app.extensions["mail"])]
    if config["MAIL_FALLBACK"] is not None:
        found.append(_check("fallback-mail-server", "MAIL_FALLBACK_", config["MAIL_FALLBACK"]))
    return found


def _check(name: str, prefix: str, settings: Any) -> Check:
    server = f"{settings.server}:{settings.port}"
    is_catcher = current_app.config["MAIL_CATCHER"]
    try:
        session = connection.open_smtp(current_app.config["MAIL_TIMEOUT"], settings)
    except (OSError, SkyMailingError) as error:
        advice = checks.START_ADVICE if is_catcher else ADVICE.format(prefix=prefix)
        return Check(name, False, f"{server}: {describe(error)}", advice)
    try:
        if is_catcher:
            return Check(name, True, f"{server} accepts us (the mail catcher)")
        return _judge(name, prefix, server, settings, session)
    finally:
        with suppress(OSError):
            session.quit()
        session.close()


def describe(error: Exception) -> str:
    """Return the server's words, or the system's."""
    return connection.format_error(error) if isinstance(error, OSError) else str(error)


def _judge(name: str, prefix: str, server: str, settings: Any, session: smtplib.SMTP) -> Check:
    """Judge how the open session is encrypted."""
    ends = certificate_end(session.sock)
    if ends is not None:
        found = judge_certificate(name, ends, "Whoever runs the mail server has to renew its certificate.")
        return Check(
            name,
            found.is_ok,
            f"{server} accepts us over TLS; its certificate is {found.finding}",
            found.advice,
        )
    assert session.sock is not None
    if ipaddress.ip_address(session.sock.getpeername()[0]).is_loopback:
        return Check(name, True, f"{server} accepts us, on this host")
    if session.has_extn("starttls"):
        finding = f"{server} offers TLS, and letters go to it unencrypted"
        return Check(name, False, finding, f"Set {prefix}USE_TLS=yes.")
    if settings.username:
        finding = f"{server} gets our password unencrypted"
        return Check(
            name, False, finding, f"Use a server and port with TLS, and {prefix}USE_TLS or {prefix}USE_SSL."
        )
    return Check(name, True, f"{server} accepts us, unencrypted: it offers no TLS")
