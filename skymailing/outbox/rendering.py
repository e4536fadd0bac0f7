"""Render outbox letters from templates/emails/, and create the links in them."""

import json
from collections.abc import Callable
from dataclasses import replace
from email.charset import BASE64, Charset
from email.mime.text import MIMEText
from typing import Any

from flask import current_app
from flask_babel import force_locale
from flask_mail import Message
from sqlalchemy import select

from skymailing import tokens
from skymailing.clock import utcnow
from skymailing.delivery.senders import From, describe_from, is_usable, service_address
from skymailing.delivery.smtp.session import Letter
from skymailing.email_addresses import address_key
from skymailing.extensions import db
from skymailing.models import Client, MessageFormat, OutboxLetter, Reviewer, Sender, Suppression
from skymailing.models import Message as MessageModel
from skymailing.outbox.probes import PROBE, render_domain_probe
from skymailing.outbox.reviewer_tokens import CONFIRM_REVIEWER, make_reviewer_token
from skymailing.outbox.sender_tokens import CONFIRM_SENDER, make_sender_token
from skymailing.outbox.services import TEST_LETTER, SubjectDeleted
from skymailing.outbox.signup_letters import (
    CONFIRM_SIGNUP,
    find_public_name,
    find_signup,
    find_signup_source,
    make_signup_token,
)
from skymailing.web.urls import public_url

ASCII_UTF8 = Charset("utf-8")
ASCII_UTF8.body_encoding = BASE64


class AsciiMessage(Message):
    """A message with CRLF line endings, encoded for servers without 8BITMIME."""

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        part = MIMEText("", subtype)
        del part["Content-Transfer-Encoding"]
        part.set_payload((text or "").replace("\n", "\r\n"), ASCII_UTF8)
        return part


def render_letter(letter: OutboxLetter) -> Letter:
    """Render the letter in the recipient's language. Raises SubjectDeleted."""
    with force_locale(letter.locale):
        if letter.template == TEST_LETTER:
            return _render_test_letter(letter)
        if letter.template == PROBE:
            return render_domain_probe(letter)
        if letter.template == CONFIRM_SIGNUP:
            return _render_signup_letter(letter)
        return Letter(letter.id, letter.attempts, letter.to, _render_account_letter(letter))


def _render_signup_letter(letter: OutboxLetter) -> Letter:
    form = find_signup(letter).form
    source = find_signup_source(letter, form)
    content = _render_account_letter(letter, source, form=form, public_name=find_public_name(form.owner))
    # Imported here to keep commands fast, as below.
    from skymailing.delivery.signing import find_signer

    if signer := find_signer(db.session.connection(), letter.user_id, source.address):
        content = signer.sign(content, utcnow())
    # Owners' servers accept only their own addresses in the envelope, as in mailings.
    return_path = source.address if letter.server_id is not None else ""
    return Letter(letter.id, letter.attempts, letter.to, content, return_path)


def _render_account_letter(letter: OutboxLetter, source: From | None = None, **values: Any) -> bytes:
    context = {"user": letter.user, "public_url": public_url, **letter.params, **values}
    if letter.template in LINKS:
        context["link"] = LINKS[letter.template](letter)
    message = AsciiMessage(
        sender=(source.name, source.address or service_address()) if source else None,
        reply_to=source.reply_to if source else None,
        subject=" ".join(_render(letter.template, "subject.txt", context).split()),
        recipients=[letter.to],
        body=_render(letter.template, "body.txt", context).strip() + "\n",
        html=_render(letter.template, "body.html", context),
        # RFC 3834: auto-responders do not reply to such letters.
        extra_headers={"Auto-Submitted": "auto-generated"},
    )
    domain = service_address().rpartition("@")[2]
    # The same on each attempt, so that mail servers can recognize duplicates.
    message.msgId = f"<account.{letter.id}.{letter.created_at:%Y%m%d%H%M%S}@{domain}>"
    return message.as_bytes()


def _render(template: str, part: str, context: dict[str, Any]) -> str:
    # Not render_template(): its context processors need a request.
    return current_app.jinja_env.get_template(f"emails/{template}/{part}").render(context)


def _render_test_letter(letter: OutboxLetter) -> Letter:
    check_reviewer(letter)
    message = _find_message(letter)
    client_id = letter.params.get("client_id")
    client = db.session.get(Client, client_id) if client_id is not None else None
    if client_id is not None and (client is None or client.owner_id != letter.user_id):
        raise SubjectDeleted("client_deleted")
    # Imported here to keep commands fast: they add letters, but only a worker renders them.
    from skymailing.delivery.audience.flags import make_reader
    from skymailing.delivery.composition.current import read_current
    from skymailing.delivery.rendering.author_test import render_test_letter
    from skymailing.delivery.rendering.letter import EXAMPLE, Content
    from skymailing.delivery.run_files import read_message_files
    from skymailing.delivery.signing import find_signer

    source = _find_source(letter)
    signer = find_signer(db.session.connection(), letter.user_id, source.address)
    if message and not letter.content:
        test = read_current(db.session, message)
    else:
        test = Content(**read_typed(letter))
    test = replace(test, files=read_message_files(db.session(), message.id) if message else ())
    if subject := letter.params.get("subject"):
        test = replace(test, subject=subject)
    recipient = make_reader(test, client, EXAMPLE)
    content, tail = render_test_letter(test, recipient, letter, source, signer)
    # Owners' servers accept only their own addresses in the envelope, as in mailings.
    return_path = source.address if letter.server_id is not None else ""
    return Letter(letter.id, letter.attempts, letter.to, content, return_path, tail)


def check_reviewer(letter: OutboxLetter) -> None:
    """Raise SubjectDeleted unless the recipient is the owner or a reviewer who still accepts letters."""
    key = address_key(letter.to)
    if key == address_key(letter.user.email):
        return
    agreed = select(Reviewer.id).where(
        Reviewer.owner_id == letter.user_id, Reviewer.address_key == key, Reviewer.confirmed_at.is_not(None)
    )
    suppressed = select(Suppression.id).where(
        Suppression.owner_id == letter.user_id, Suppression.email_key == key
    )
    if db.session.scalar(agreed) is None or db.session.scalar(suppressed) is not None:
        raise SubjectDeleted("reviewer_gone")


def _find_message(letter: OutboxLetter) -> MessageModel | None:
    """Return the saved message; None if the letter contains the text of a new one."""
    message_id = letter.params["message_id"]
    message = db.session.get(MessageModel, message_id) if message_id is not None else None
    if message is not None and message.owner_id == letter.user_id:
        return message
    if letter.content is None or message is not None:
        raise SubjectDeleted("message_deleted")
    return None


def read_typed(letter: OutboxLetter) -> dict[str, Any]:
    """Return the unsaved text of a letter, as fields of Content."""
    fields: dict[str, Any] = json.loads(letter.content or "{}")
    return fields | {"format": MessageFormat(fields["format"])}


def _find_source(letter: OutboxLetter) -> From:
    """Return the sender of a test letter; letters of older versions lack the parameters."""
    sender_id, name = letter.params.get("sender_id"), letter.params.get("sender_name", "")
    if sender_id is None:
        return describe_from(letter.user, None, name)
    sender = db.session.get(Sender, sender_id)
    if sender is None or sender.owner_id != letter.user_id or not is_usable(sender):
        raise SubjectDeleted("letter_sender_unusable")
    source = describe_from(letter.user, sender, name)
    if sender.server_id == letter.server_id:
        return source
    if letter.server_id is not None:
        raise SubjectDeleted("letter_server_changed")
    # The letter is sent through the installation's server, which may not send from this address.
    return replace(source, address="")


def _make_verification_link(letter: OutboxLetter) -> str:
    return public_url("auth.verify", token=tokens.account_token(tokens.VERIFY, letter.user))


def _make_reset_link(letter: OutboxLetter) -> str:
    return public_url("auth.reset", token=tokens.account_token(tokens.RESET, letter.user))


def _make_new_email_link(letter: OutboxLetter) -> str:
    token = tokens.account_token(tokens.NEW_EMAIL, letter.user, email=letter.to)
    return public_url("auth.confirm_email", token=token)


def _make_sender_link(letter: OutboxLetter) -> str:
    sender = db.session.get(Sender, letter.params["sender_id"])
    if sender is None or (sender.owner_id, sender.address_key) != (letter.user_id, letter.to):
        raise SubjectDeleted("sender_deleted")
    return public_url("senders.confirm", token=make_sender_token(sender))


def _make_signup_link(letter: OutboxLetter) -> str:
    signup = find_signup(letter)
    return public_url("signup.confirm", uuid=signup.form.uuid, token=make_signup_token(signup))


def _make_reviewer_link(letter: OutboxLetter) -> str:
    reviewer = db.session.get(Reviewer, letter.params["reviewer_id"])
    if reviewer is None or (reviewer.owner_id, reviewer.address_key) != (letter.user_id, letter.to):
        raise SubjectDeleted("reviewer_gone")
    return public_url("messages.confirm_reviewer", token=make_reviewer_token(reviewer))


LINKS: dict[str, Callable[[OutboxLetter], str]] = {
    tokens.VERIFY: _make_verification_link,
    tokens.RESET: _make_reset_link,
    tokens.NEW_EMAIL: _make_new_email_link,
    CONFIRM_SENDER: _make_sender_link,
    CONFIRM_REVIEWER: _make_reviewer_link,
    CONFIRM_SIGNUP: _make_signup_link,
}
