"""Test that the editor explains unusual input, and loses nothing."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.delivery.audience.flags import MAX_FLAGS
from skymailing.models import Message, MessageDraft, Tag, User
from tests.support.factories import ClientFactory

pytestmark = pytest.mark.one_engine


def make_design(*blocks: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "settings": {}, "blocks": blocks})


@pytest.mark.parametrize(
    "source",
    [
        '{"version": 1, "\\ud800": 1}',
        '{"version": 1, "blocks": [{"id": "a", "type": "\\ud800\\u0000"}]}',
        '{"version": 1, "blocks": [{"id": "a", "type": "heading", "\\udfff": 1}]}',
        '{"version": 1, "blocks": [{"id": "a", "type": "heading", "text": "\\ud800"}]}',
    ],
)
@pytest.mark.parametrize("path", ["/messages/preview", "/messages/new", "/messages/test"])
def test_names_with_lone_surrogates_are_errors(browser: FlaskClient, path: str, source: str) -> None:
    form = {"subject": "News", "source_format": "blocks", "source": source}
    response = browser.post(path, data=form)
    assert response.status_code == 200
    assert "/" in response.text


@pytest.mark.both_engines
@pytest.mark.parametrize("source_format", ["blocks", "mjml"])
def test_control_characters_in_a_source_are_removed(
    browser: FlaskClient, session: Session, source_format: str
) -> None:
    sources = {
        "blocks": make_design({"id": "a", "type": "heading", "text": "Hello"}) + "\0",
        "mjml": "<mjml><mj-body>\0<mj-raw>Hello</mj-raw></mj-body></mjml>",
    }
    form = {"subject": "News", "source_format": source_format, "source": sources[source_format]}
    unfinished = form | {"source": "\0<mjml>"}
    assert browser.post("/messages/drafts", data=unfinished).status_code == 200
    assert session.scalars(select(MessageDraft.source)).one() == "<mjml>"

    assert browser.post("/messages/new", data=form).status_code == 302
    assert session.scalars(select(Message.source)).one() == sources[source_format].replace("\0", "")


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a title="', "The element &lt;a&gt; is not closed."),
        ('<b>x</b><div class="x', "The element &lt;div&gt; is not closed."),
        ("<input", "The element &lt;input&gt; is not closed."),
        ("<!--a--!><textarea>-->", "A comment is not closed."),
    ],
)
def test_a_code_block_cannot_swallow_the_blocks_after_it(
    browser: FlaskClient, html: str, problem: str
) -> None:
    source = make_design({"id": "a", "type": "code", "html": html}, {"id": "b", "type": "footer"})
    form = {"subject": "News", "source_format": "blocks", "source": source}
    assert problem in browser.post("/messages/preview", data=form).text


@pytest.mark.parametrize(
    "html",
    ["1 < 2, a<3, <3", "<![if !mso]><b>x</b><![endif]>", '<p title="{{ x }}">{% if a < b %}c{% endif %}</p>'],
)
def test_a_code_block_may_contain_less_than_signs(browser: FlaskClient, html: str) -> None:
    source = make_design({"id": "a", "type": "code", "html": html})
    form = {"subject": "News", "source_format": "blocks", "source": source}
    assert "problem" not in browser.post("/messages/insight", data=form).json  # type: ignore[operator]


@pytest.mark.both_engines
def test_a_message_has_a_limit_of_tags_and_segments(
    browser: FlaskClient, session: Session, user: User
) -> None:
    ClientFactory.create(owner=user)
    session.add(Tag(owner_id=user.id, name="abcdefgh", name_key="abcdefgh"))
    session.flush()
    # Each spelling of the name counts, since it is another column of the query.
    names = [
        "".join(letter.upper() if number >> place & 1 else letter for place, letter in enumerate("abcdefgh"))
        for number in range(MAX_FLAGS + 1)
    ]
    tags = [f'{{% if has_tag["{name}"] %}}x{{% endif %}}' for name in names]
    form = {"subject": "News", "format": "html", "language": "en"}

    refused = browser.post("/messages/new", data=form | {"body": "".join(tags)})
    assert "up to 100 different tags and segments" in refused.text
    assert browser.post("/messages/preview", data=form | {"body": "".join(tags)}).status_code == 200
    saved = browser.post("/messages/new", data=form | {"body": "".join(tags[:-1])})
    assert saved.status_code == 302
    assert browser.get(saved.location).status_code == 200


@pytest.mark.both_engines
def test_ids_that_no_key_can_hold_are_unknown(browser: FlaskClient) -> None:
    large = str(2**31)
    form = {"message_id": large, "subject": "News", "format": "text", "body": "http://a.example"}
    for path in ("/messages/test", "/messages/check-links"):
        assert browser.post(path, data=form).status_code == 200
    assert browser.get(f"/messages/new?draft={large}").status_code == 200
    assert browser.get(f"/messages/new?template={large}").status_code == 200
