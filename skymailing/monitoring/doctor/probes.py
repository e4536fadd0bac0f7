"""Send a test letter to ourselves through each of the installation's mail servers, and report how it arrived.

The letter shows what DNS does not contain: which headers the mail server signs, and whether it keeps return
paths with tokens.
"""

import secrets
import smtplib
from contextlib import suppress
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.message_ids import TOKEN_LENGTH, add_return_token
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.route_memory import lock_route
from skymailing.delivery.senders import service_address
from skymailing.delivery.smtp import connection
from skymailing.delivery.smtp.replies import decode_reply
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.models import Route
from skymailing.models.probe import PROBE_LATE_AFTER, UNSUBSCRIBE_HEADERS, ProbeArrival, SignatureFault
from skymailing.monitoring.checks import Check, shorten_error
from skymailing.monitoring.doctor.mail_servers import error_text
from skymailing.outbox.probes import find_probe_mailbox, make_probe_token, write_probe

SIGNATURE, RETURN_PATH = "signature", "return-path"
PAUSE = timedelta(hours=1)  # between two test letters through a route
TOKEN_BYTES = TOKEN_LENGTH // 2
SIGN_ADVICE = "Let the mail server sign letters of the domain of MAIL_DEFAULT_SENDER."
KEY_ADVICE = "Compare the key in DNS with that of the mail server."
COVER_ADVICE = "Let the mail server sign these headers too: Gmail requires it."
MAILBOX_ADVICE = "Set up returned mail and UNSUBSCRIBE_MAILBOX: docs/deliverability.md."


def check_routes() -> list[Check]:
    """Report the results of the last test letters, and send new ones."""
    if current_app.config["MAIL_CATCHER"]:
        return []
    mailbox = find_probe_mailbox()
    if not mailbox:
        finding = f"could not be checked: no mailbox for test letters is known. {MAILBOX_ADVICE}"
        return [Check(SIGNATURE, True, finding, is_known=False)]
    try:
        return [check for name in routes.list_configured() for check in _check_route(name, mailbox, utcnow())]
    except SQLAlchemyError as error:
        return [Check(SIGNATURE, True, shorten_error(error), is_known=False)]


def _check_route(name: str, mailbox: str, now: datetime) -> list[Check]:
    bounce_address = current_app.config["MAIL_BOUNCE_ADDRESS"]
    tried = add_return_token(bounce_address, secrets.token_hex(TOKEN_BYTES)) if bounce_address else ""
    if _begin(name, {"return_path": tried, "bounce_address": bounce_address}, now):
        refused = _send(name, mailbox, tried, make_probe_token(now, route=name))
        if refused:
            _store(name, refused)
    with Session(db.engine) as session:
        route = session.get_one(Route, name)
        signature, return_path = _judge_signature(route, mailbox, now), _judge_return_path(route)
    return [signature, return_path] if bounce_address else [signature]


def _begin(name: str, expected: dict[str, str], now: datetime) -> bool:
    """Record that a letter is being sent, before it can arrive; return False if one was sent recently."""
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        if route.probe_sent_at is not None and now - route.probe_sent_at < PAUSE:
            return False
        earlier = {"arrival": route.probe["arrival"]} if "arrival" in route.probe else {}
        route.probe_sent_at, route.probe = now, {"is_awaited": True, **earlier, **expected}
    return True


def _store(name: str, values: dict[str, str]) -> None:
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        route.probe = route.probe | values
        if "return_path" in values:
            route.bounce_address = ""


def _send(name: str, mailbox: str, return_path: str, token: str) -> dict[str, str]:
    """Send a test letter, first with the return path if one is to be tested; return the refusals."""
    refused: dict[str, str] = {}
    try:
        if return_path:
            # The same address is the recipient, so that the letter's arrival shows that bounces are received.
            reply = _hand_over(name, return_path, return_path, token)
            if not reply:
                return {}
            refused = {"return_path": "", "return_path_problem": reply}
        reply = _hand_over(name, service_address(), mailbox, token)
        return refused | ({"refusal": reply} if reply else {})
    except (OSError, SkyMailingError) as error:  # the server cannot be reached
        return refused | {"refusal": error_text(error)}


def _hand_over(name: str, sender: str, recipient: str, token: str) -> str:
    """Send a test letter in its own session; return the server's refusal.

    Raises OSError and SkyMailingError.
    """
    letter = write_probe(service_address(), recipient, token)
    session = connection.open_smtp(current_app.config["MAIL_TIMEOUT"], routes.settings_of(name))
    try:
        session.sendmail(sender, [recipient], letter)
    except smtplib.SMTPRecipientsRefused as error:
        return _format_reply(*error.recipients[recipient])
    except smtplib.SMTPResponseException as error:
        return _format_reply(error.smtp_code, error.smtp_error)
    finally:
        with suppress(OSError):
            session.quit()
        session.close()
    return ""


def _format_reply(code: int, text: bytes | str) -> str:
    return f"{code} {decode_reply(text) if isinstance(text, bytes) else text}"


def _judge_signature(route: Route, mailbox: str, now: datetime) -> Check:
    """Judge the signature of the last letter that arrived."""
    assert route.probe_sent_at is not None
    sent_at = f"{route.probe_sent_at:%H:%M} UTC"
    if refusal := route.probe.get("refusal"):
        finding = f"{route.name}: the test letter at {sent_at} was refused: {refusal}"
        return Check(SIGNATURE, False, finding, f"Check that it delivers to {mailbox}.")
    arrival = ProbeArrival.of(route.probe)
    is_late = now - route.probe_sent_at > PROBE_LATE_AFTER
    if route.probe["is_awaited"] and is_late:
        finding = f"{route.name}: the test letter to {mailbox}, sent at {sent_at}, has not arrived"
        return Check(SIGNATURE, False, finding, f"Check that letters arrive there. {MAILBOX_ADVICE}")
    if arrival is None:
        finding = f"{route.name}: a test letter was sent at {sent_at}; run this again in a minute"
        return Check(SIGNATURE, True, finding, is_known=False)
    return _judge_arrival(route.name, arrival)


def _judge_arrival(name: str, arrival: ProbeArrival) -> Check:
    best = arrival.best
    if best is None:
        return Check(SIGNATURE, False, f"{name}: letters have no DKIM signature", SIGN_ADVICE)
    finding = f"{name}: letters are signed by {best.domain}"
    if not arrival.faults:
        return Check(SIGNATURE, True, f"{finding}, including the headers for unsubscribing")
    missing = ", ".join(sorted(UNSUBSCRIBE_HEADERS - best.headers))
    problem, advice = {
        SignatureFault.NOT_ALIGNED: (f", not by {arrival.author}", SIGN_ADVICE),
        SignatureFault.INVALID: (", but the receiving server rejects the signature", KEY_ADVICE),
        SignatureFault.UNSUBSCRIBE_UNCOVERED: (f", which does not cover {missing}", COVER_ADVICE),
    }[arrival.faults[0]]
    return Check(SIGNATURE, False, finding + problem, advice)


def _judge_return_path(route: Route) -> Check:
    """Report whether letters have a return path with a token, or the reason why not."""
    probe, arrival = route.probe, ProbeArrival.of(route.probe)
    if route.bounce_address == current_app.config["MAIL_BOUNCE_ADDRESS"]:
        return Check(RETURN_PATH, True, f"{route.name}: each letter has its own return path")
    if problem := probe.get("return_path_problem"):
        reason = f"the mail server refused one: {problem}"
    elif probe["is_awaited"] or arrival is None:
        reason = "no test letter has arrived yet"
    elif arrival.return_path is None:
        reason = "returned mail arrives without its envelope: docs/returns.md"
    else:
        reason = f"the mail server changed it to {arrival.return_path or '<>'}"
    finding = f"{route.name}: letters do not have their own return paths, because {reason}"
    return Check(RETURN_PATH, True, finding, is_known=False)
