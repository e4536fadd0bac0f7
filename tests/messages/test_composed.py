"""Test messages that are composed of blocks or from MJML: saving, drafts, previews and conversion."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Message, MessageFormat, SourceFormat

pytestmark = pytest.mark.one_engine

DESIGN: dict[str, Any] = {
    "version": 1,
    "settings": {"button": "#c0392b"},
    "blocks": [
        {"id": "a", "type": "heading", "text": "Hello, {{ name }} <3"},
        {"id": "b", "type": "button", "text": "Buy", "url": "https://shop.example/?a=1&b=2"},
        {"id": "c", "type": "footer", "text": "Main Street 1"},
    ],
}
FORM = {"subject": "News", "language": "en", "source_format": "blocks", "source": json.dumps(DESIGN)}
MJML_TEXT = "Hello, {{ name }}<br>bye {% if 1 < 2 %}x{% endif %}"
COLUMN = f"<mj-column><mj-text>{MJML_TEXT}</mj-text></mj-column>"
MJML = f"<mjml><mj-body><mj-section>{COLUMN}</mj-section></mj-body></mjml>"


@pytest.mark.both_engines
def test_a_message_of_blocks_is_saved_with_its_html(browser: FlaskClient, session: Session) -> None:
    response = browser.post("/messages/new", data=FORM)

    message = session.scalars(select(Message)).one()
    assert response.location == f"/messages/{message.id}"
    assert message.format is MessageFormat.HTML
    assert message.current_source == (SourceFormat.BLOCKS, FORM["source"])
    assert "Hello, {{ name }} &lt;3</h1>" in message.body
    assert 'href="https://shop.example/?a=1&amp;b=2"' in message.body
    page = browser.get(f"/messages/{message.id}/preview?part=html").text
    assert "Hello, Anna Example &lt;3" in page
    assert page.count("Unsubscribe") == 1
    edit = browser.get(f"/messages/{message.id}/edit").text
    assert 'name="source_format"' in edit
    assert "Hello, {{ name }} &lt;3" in edit


def test_mjml_is_saved_with_its_html(browser: FlaskClient, session: Session) -> None:
    browser.post("/messages/new", data=FORM | {"source_format": "mjml", "source": MJML})

    message = session.scalars(select(Message)).one()
    assert message.current_source == (SourceFormat.MJML, MJML)
    assert f"{MJML_TEXT}</div>" in message.body
