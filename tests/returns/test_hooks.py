"""Test the webhooks of mail providers: what each of them posts, and what strangers post."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import Bounce, ReturnedLetter, ReturnedState, User
from skymailing.returns.providers import amazon_sns
from skymailing.returns.providers.registry import READERS
from skymailing.settings.returned_mail import PROVIDERS, ReturnedMailSettings
from tests.conftest import WEBHOOK_SECRET
from tests.returns import posts
from tests.returns.posts import UNKNOWN_USER, Amazon, SendGridKey
from tests.returns.scenes import Desk
from tests.support.factories import ClientFactory, UserFactory

pytestmark = pytest.mark.one_engine

SPAM = "550 5.7.1 rejected as spam"
Deliver = Callable[..., TestResponse]


@pytest.fixture
def desk(app: Flask, session: Session, user: User) -> Desk:
    return Desk(app, session, user)


@pytest.fixture
def deliver(app: Flask, session: Session) -> Deliver:
    """Return a function that posts a body to a provider's webhook."""

    def post(provider: str, body: bytes, headers: dict[str, str] | None = None) -> TestResponse:
        path = f"/hooks/{provider}/{WEBHOOK_SECRET}"
        response = app.test_client().post(path, data=body, headers=headers)
        session.expire_all()
        return response

    return post


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Amazon:
    """Return a signer whose certificate has been fetched."""
    amazon = Amazon()
    monkeypatch.setitem(amazon_sns.certificates, posts.CERTIFICATE_URL, amazon.certificate)
    return amazon


@pytest.fixture
def use_key(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that sets the key with which a provider signs."""

    def use(provider: str, key: str) -> None:
        secrets = {provider: WEBHOOK_SECRET}
        monkeypatch.setitem(app.config, "RETURNED_MAIL", ReturnedMailSettings(secrets, {provider: key}))

    return use


def test_every_provider_has_a_reader() -> None:
    assert tuple(sorted(READERS)) == PROVIDERS


def test_brevo_and_postmark_suppress_once_by_message_id_or_by_address(desk: Desk, deliver: Deliver) -> None:
    dead, full, blocked, angry, gone = (desk.send() for _ in range(5))
    message_id = desk.quote(dead).split("Message-ID: ")[1].split("\n")[0]
    stranger = UserFactory.create()
    desk.send(ClientFactory.create(owner=stranger, email=dead.email))  # newer, but not the letter
    bodies = [
        ("brevo", posts.brevo("hard_bounce", dead.email, UNKNOWN_USER, message_id)),
        ("brevo", posts.brevo("soft_bounce", full.email, "552 5.2.2 mailbox full")),
        ("brevo", posts.brevo("delivered", full.email)),
        ("postmark", posts.postmark("HardBounce", blocked.email, f"smtp;{SPAM}")),
        ("postmark", posts.postmark("SpamComplaint", angry.email, record="SpamComplaint")),
        ("postmark", posts.postmark("AutoResponder", full.email)),
        ("brevo", posts.brevo("unsubscribed", gone.email)),
    ]

    for body in bodies + bodies[:3]:  # posted again
        assert deliver(*body).status_code == 200

    assert desk.suppressions() == {
        dead.email: "bounced",
        angry.email: "complained",
        gone.email: "unsubscribed",
    }
    kinds = ["hard", "soft", "policy", "complaint"]
    assert desk.bounces() == [(kind, "signed") for kind in kinds]
    assert {bounce.owner_id for bounce in desk.session.scalars(select(Bounce))} == {desk.user.id}
    assert (dead.run.returned, angry.run.complaints, full.run.returned) == (1, 1, 1)
    letters = desk.session.scalars(select(ReturnedLetter)).all()
    assert {letter.state for letter in letters} == {ReturnedState.UNDERSTOOD}
    assert sorted(letter.source for letter in letters) == ["brevo"] * 3 + ["postmark"] * 2


def test_sendgrid_posts_batches_that_are_signed_if_the_key_is_set(
    desk: Desk, deliver: Deliver, use_key: Callable[[str, str], None]
) -> None:
    dead, dropped, blocked, angry = (desk.send() for _ in range(4))
    body = posts.sendgrid(
        {"event": "bounce", "type": "bounce", "email": dead.email, "reason": UNKNOWN_USER, "status": "5.1.1"},
        {"event": "dropped", "email": dropped.email, "reason": "Bounced Address", "status": "5.0.0"},
        {
            "event": "bounce",
            "type": "blocked",
            "email": blocked.email,
            "reason": "too bad",
            "status": "5.0.0",
        },
        {"event": "spamreport", "email": angry.email},
        {"event": "open", "email": dead.email},
        {"event": "bounce", "email": "stranger@example.org"},
    )
    key = SendGridKey()
    use_key("sendgrid", key.public)
    for headers in ({}, key.sign(body + b" "), SendGridKey().sign(body)):
        assert deliver("sendgrid", body, headers).status_code == 403
    assert desk.bounces() == []

    for _ in range(2):
        assert deliver("sendgrid", body, key.sign(body)).status_code == 200

    assert desk.suppressions() == {
        dead.email: "bounced",
        dropped.email: "bounced",
        angry.email: "complained",
    }
    assert [kind for kind, _ in desk.bounces()] == ["hard", "hard", "policy", "complaint"]
    # A report about someone who got no letter is kept and shown.
    states = [letter.state for letter in desk.session.scalars(select(ReturnedLetter))]
    assert states.count(ReturnedState.UNCLEAR) == 1


def test_mailgun_signs_its_posts(
    desk: Desk, deliver: Deliver, use_key: Callable[[str, str], None], amazon: Amazon
) -> None:
    dead, angry, waiting = desk.send(), desk.send(), desk.send()
    now = utcnow()
    use_key("mailgun", "signing-key")
    reply = {"code": 550, "message": "5.1.1 no such user", "mx-host": "mx.example.org"}
    failed: dict[str, Any] = {"severity": "permanent", "reason": "bounce", "delivery-status": reply}
    valid = posts.mailgun("signing-key", "failed", dead.email, now, **failed)
    assert deliver("mailgun", posts.mailgun("other-key", "failed", dead.email, now)).status_code == 403
    old = now.replace(year=now.year - 1)
    assert deliver("mailgun", posts.mailgun("signing-key", "failed", dead.email, old)).status_code == 403

    for body in (
        valid,
        valid,
        posts.mailgun("signing-key", "complained", angry.email, now, id="other"),
        posts.mailgun("signing-key", "failed", waiting.email, now, severity="temporary"),
    ):
        assert deliver("mailgun", body).status_code == 200

    assert desk.suppressions() == {dead.email: "bounced", angry.email: "complained"}
    bounce = desk.session.scalars(select(Bounce)).first()
    assert bounce is not None
    assert (bounce.diagnostic, bounce.remote_mta) == ("550 5.1.1 no such user", "mx.example.org")


def test_unisender_go_signs_its_posts(
    desk: Desk, deliver: Deliver, use_key: Callable[[str, str], None]
) -> None:
    dead, spam, angry = desk.send(), desk.send(), desk.send()
    use_key("unisender_go", "api-key")
    unknown = {"delivery_status": "err_user_unknown", "destination_response": ""}
    refused = {"delivery_status": "err_spam_rejected", "destination_response": "550 Spam rejected"}
    events: list[dict[str, Any]] = [
        {"email": dead.email, "status": "hard_bounced", "delivery_info": unknown},
        {"email": spam.email, "status": "hard_bounced", "delivery_info": refused},
        {"email": angry.email, "status": "spam"},
        {"email": dead.email, "status": "opened"},
    ]
    assert deliver("unisender_go", posts.unisender_go("other-key", *events)).status_code == 403
    assert deliver("unisender_go", posts.unisender_go("api-key")).status_code == 200

    assert deliver("unisender_go", posts.unisender_go("api-key", *events)).status_code == 200

    assert desk.suppressions() == {dead.email: "bounced", angry.email: "complained"}
    assert [kind for kind, _ in desk.bounces()] == ["hard", "policy", "complaint"]


def test_amazon_signs_its_notifications(desk: Desk, deliver: Deliver, amazon: Amazon) -> None:
    dead, full = desk.send(), desk.send()
    bounce = amazon.sign(Message=amazon.bounce(dead.email, desk.quote(dead)))
    full_text = amazon.bounce(full.email, type="Transient", code="552 5.2.2 mailbox full")
    forged = [
        bounce | {"Message": full_text},
        bounce | {"Signature": "AAAA"},
        bounce | {"SignatureVersion": "1"},
        bounce
        | {"SigningCertURL": posts.CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com.evil.example")},
        Amazon().sign(Message=full_text),
    ]
    for values in forged:
        assert deliver("amazon_ses", json.dumps(values).encode()).status_code == 403
    assert desk.bounces() == []

    for values in (bounce, bounce, amazon.sign(Message="Successfully validated SNS topic.", MessageId="2")):
        assert deliver("amazon_ses", json.dumps(values).encode()).status_code == 200
    more = amazon.sign(Message=full_text, MessageId="3", Subject="Amazon SES")
    assert deliver("amazon_ses", json.dumps(more).encode()).status_code == 200

    assert desk.suppressions() == {dead.email: "bounced"}
    assert desk.bounces() == [("hard", "signed"), ("soft", "signed")]


def test_a_wrong_secret_or_an_unused_provider_is_not_found(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = app.test_client()
    for path in ("brevo/", f"brevo/{WEBHOOK_SECRET}x", "brevo/x%C3%A9", f"other/{WEBHOOK_SECRET}"):
        assert visitor.post(f"/hooks/{path}", data=b"{}").status_code == 404
    assert visitor.get(f"/hooks/brevo/{WEBHOOK_SECRET}").status_code == 200  # as Unisender Go checks it
    monkeypatch.setitem(app.config, "RETURNED_MAIL", ReturnedMailSettings())
    assert visitor.get(f"/hooks/brevo/{WEBHOOK_SECRET}").status_code == 404
    assert visitor.post("/hooks/brevo/", data=b"{}").status_code == 404


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hostile_body_is_rejected_and_logged_without_its_content(
    deliver: Deliver, session: Session, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    bodies = [
        b"",
        b"\xff\x00",
        b"null",
        b"7",
        b'"ann@example.org"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[7]",
        b"{}",
        b'{"Type": ["x"], "event": {}, "RecordType": [], "event-data": [], "events_by_user": 3}',
        b"1" * 10_000,
    ]
    for body in bodies:
        assert deliver(provider, body).status_code in (400, 403), body[:40]
    assert deliver(provider, b"[" + b" " * 3_000_000 + b"]").status_code == 413
    assert caplog.text.count(f"Rejected a webhook from {provider}") == len(bodies)
    assert "ann@example.org" not in caplog.text
    assert session.scalars(select(ReturnedLetter)).all() == []


@pytest.mark.both_engines
def test_values_that_no_database_stores_are_cleaned(desk: Desk, deliver: Deliver) -> None:
    delivery = desk.send()
    nested = json.loads('{"a":' * 400 + "1" + "}" * 400)
    values = json.loads(posts.brevo("hard_bounce", delivery.email, "550 5.1.1 \0 \ud800 " + "x" * 9000))
    for more in ({"deep": nested}, {"email": 7}, {"email": [1]}, {"email": "a" * 9000}, {"ts": 1e308}):
        assert deliver("brevo", json.dumps(values | more).encode()).status_code == 200
    assert desk.suppressions() == {delivery.email: "bounced"}
    bounce = desk.session.scalars(select(Bounce)).one()
    assert bounce.diagnostic.startswith("550 5.1.1")
    assert len(bounce.diagnostic) == 1000
