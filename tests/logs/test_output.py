"""Test that each event is logged in one line, without secrets."""

import json
import logging
import time

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface

from config import TestingConfig
from skymailing import security, tokens
from skymailing.logs import context
from skymailing.logs.redaction import Redactor, secrets_of
from skymailing.models import User
from tests.logs.conftest import Lines

# Log lines do not depend on the database.
pytestmark = pytest.mark.one_engine

logger = logging.getLogger("skymailing.tests")


def test_log_lines_cannot_be_forged(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    # Remove pytest's handlers, because pytest cannot pass an unpaired surrogate between processes.
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", lines.handlers)
    for separator in ("\n", "\r\n", "\x0b", "\x85", "\u2028", "\u2029", "\x1b[2K", "\u202e", "\ud800", "\0"):
        logger.warning("hello%s2026-01-01T00:00:00Z ERROR skymailing: forged", separator)

    assert [entry["level"] for entry in lines.entries] == ["warning"] * 10
    assert len(lines.raw.splitlines()) == len(lines.text.splitlines()) == 10
    assert lines.text.isprintable() or set(lines.text) - {"\n"} == set(filter(str.isprintable, lines.text))
    assert all("forged" in entry["message"] for entry in lines.entries)


def test_a_traceback_is_part_of_its_entry(lines: Lines) -> None:
    try:
        raise ValueError("bad\n2026-01-01T00:00:00Z ERROR skymailing: forged anna@example.org")
    except ValueError:
        logger.exception("it broke")

    (entry,) = lines.entries
    assert "ValueError: bad" in entry["exception"]
    assert "anna" not in lines.raw + lines.text
    assert all(line.startswith("  | ") for line in lines.text.splitlines()[1:])


def test_full_addresses_are_logged_only_at_debug_level(lines: Lines) -> None:
    text = 'refused <Anna.Müller+x@example.org>, "two words"@x.example and q=boris%40пример.рф'
    logger.debug(text)
    logger.info(text)
    logger.error("%s", text)

    debug, info, error = lines.entries
    assert "Anna.Müller+x@example.org" in debug["message"]
    for entry in (info, error):
        assert "Anna" not in entry["message"]
        assert "boris" not in entry["message"]
        assert "…@example.org" in entry["message"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_tokens_and_passwords_are_never_logged(app: Flask, lines: Lines, user: User, level: int) -> None:
    with app.test_request_context():
        session["_user_id"] = user.get_id()
        sessions = app.session_interface
        assert isinstance(sessions, SecureCookieSessionInterface)
        serializer = sessions.get_signing_serializer(app)
        assert serializer is not None
        cookie = serializer.dumps(dict(session))
        password_hash = security.hash_password("correct horse battery")
        messages = {
            "/auth/verify/%s": tokens.account_token(tokens.VERIFY, user),
            "Exception on /auth/reset/%s [GET]": tokens.account_token(tokens.RESET, user),
            "see /u/%s": tokens.unsubscribe_token(user.id, "anna@example.org"),
            "see /p/%s": tokens.unsubscribe_token(user.id, "anna@example.org", 7),
            "a damaged link /u/%s": "abcdefgh",
            "a damaged preference link /p/%s": "mnopqrst",
            "another damaged one /auth/email/%s": "ijklmnop",
            "token alone %s": tokens.account_token(tokens.RESET, user),
            "{'session': '%s'}": cookie,
            "row (%s)": password_hash,
            "Authorization: Bearer %s": "sesame-street",
            "a program sent %s": "sky_live_abcdabcdabcdabcdabcdabcd-_OP",
            "{'password': '%s'}": "tr0ub4dor",
            "the key is %s": app.config["SECRET_KEY"],
        }
    for message, secret in messages.items():
        logger.log(level, message, secret)

    for entry, (message, secret) in zip(lines.entries, messages.items(), strict=True):
        assert secret not in entry["message"], message
        assert entry["message"].split()[0].startswith(message.partition("%s")[0].split()[0][:12])


@pytest.mark.parametrize("fragment", ["token", "password ", "/u/", "aaaa.", "a@", "$argon2", '"a'])
def test_redacting_a_hostile_text_is_fast(fragment: str) -> None:
    """A mail server's reply or an error may quote an attacker's text, which must not block a process."""
    text = fragment * (20_000 // len(fragment))
    start = time.process_time()
    Redactor(["a-secret"]).clean(text)
    assert time.process_time() - start < 1


def test_all_secrets_in_the_settings_are_redacted(environment: dict[str, str]) -> None:
    config = TestingConfig(
        environment
        | {
            "DATABASE_URL": "postgresql://sky:p%40ss%2Fword@db.example/sky",
            "REDIS_URL": "redis://:redis-word@cache.example/0",
            "MAIL_PASSWORD": "mail-word",
            "METRICS_TOKEN": "metrics-word",
            "MAIL_FALLBACK_SERVER": "second.example",
            "MAIL_FALLBACK_PASSWORD": "second-word",
            "WEBHOOK_SECRETS": "brevo:hook-word-of-20-letters",
            "WEBHOOK_KEYS": "mailgun:key-word",
            "RETURN_MAILBOX": "imaps://ann:box%40word@mail.example",
        }
    )
    redactor = Redactor(secrets_of(vars(config)))

    passwords = ("p@ss/word", "p%40ss%2Fword", "redis-word", "mail-word", "metrics-word", "second-word")
    for secret in (*passwords, "hook-word-of-20-letters", "key-word", "box@word", "box%40word"):
        assert secret not in redactor.clean(f"could not use x{secret}x", keep_addresses=True)


def test_text_that_only_resembles_secrets_is_kept() -> None:
    text = (
        "skymailing.delivery.recovery.sweep.recover_expired_leases_of_workers failed; see docs/reset"
        " or 5.1.1; run 17 ended at 2026-11-25T13:00:00.123Z; queue.example.com:6379"
    )
    assert Redactor(["", "abc"]).clean(text) == text


def test_lines_include_the_fields_of_their_request_and_run(lines: Lines) -> None:
    context.reset(request_id="r1")
    with context.bound(run_id=7):
        logger.info("inside")
    logger.info("after")
    context.reset()
    logger.info("outside")

    inside, after, outside = lines.entries
    assert (inside["request_id"], inside["run_id"]) == ("r1", 7)
    assert "run_id" not in after
    assert "request_id" not in outside
    assert "[request_id=r1 run_id=7]" in lines.text


def test_a_log_call_with_wrong_arguments_still_writes_a_line(lines: Lines) -> None:
    record = logger.makeRecord("x", logging.INFO, "", 0, "%d letters", ("three",), None)

    assert json.loads(lines.json_handler.format(record))["message"] == "%d letters ('three',)"
