"""Test that the engine's own messages in the log are translated, and servers' replies are not changed."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask_babel import force_locale

from skymailing.delivery.journal import NO_REPLY
from skymailing.delivery.recovery.after_restore import ANSWER
from skymailing.delivery.recovery.sweep import LOST_LEASE
from skymailing.web.server_replies import translate_reply

pytestmark = pytest.mark.one_engine
LATIN = re.compile(r"[a-z]{3}")


@pytest.mark.parametrize(
    "text",
    [
        NO_REPLY,
        LOST_LEASE,
        ANSWER.format(made_at=datetime(2026, 11, 29, 9, 30, tzinfo=UTC)),
        "the server closed the connection",
        "no reply within 300 s",
        "no reply within … s",
        "the letter has 30000000 bytes, and the mail server accepts at most 20000000",
    ],
)
def test_messages_of_the_engine_are_in_the_readers_language(app: Flask, text: str) -> None:
    with app.test_request_context(), force_locale("ru"):
        assert not LATIN.search(translate_reply(text))
    with app.test_request_context(), force_locale("en"):
        assert "letter" not in translate_reply(text)


def test_values_are_kept(app: Flask) -> None:
    with app.test_request_context(), force_locale("ru"):
        assert "100% <b> full" in translate_reply("the letter cannot be rendered: 100% <b> full")


@pytest.mark.parametrize("text", ["2.0.0 Ok: queued as 100%", "", "the server closed the connection, sorry"])
def test_replies_of_servers_are_unchanged(app: Flask, text: str) -> None:
    with app.test_request_context(), force_locale("ru"):
        assert translate_reply(text) == text
