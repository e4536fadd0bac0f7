"""Test layouts: composing messages into them, changing and deleting them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.messages import layouts
from skymailing.models import Layout, Message, MessageFormat, MessageTemplate, Run, SourceFormat, User
from tests.mailings.pages import soup
from tests.support.factories import ClientFactory, MailingFactory, UserFactory

pytestmark = pytest.mark.one_engine

FRAME = "<html><head><title>x</title></head><body><h1>Top</h1>{{ content }}<p>Bottom</p></body></html>"
DESIGN: dict[str, Any] = {
    "version": 1,
    "settings": {"background": "#aabbcc"},
    "blocks": [
        {"id": "top", "type": "heading", "text": "Top"},
        {"id": "place", "type": "content"},
        {"id": "foot", "type": "footer", "text": "Bottom"},
    ],
}
BLOCKS = json.dumps(
    {"version": 1, "settings": {}, "blocks": [{"id": "a", "type": "heading", "text": "Hello, {{ name }}"}]}
)
MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hello, {{ name }}</mj-text></mj-column>"
    "</mj-section></mj-body></mjml>"
)
PAGE = (
    "<html><head><style>.b { color: #123456 }</style></head>"
    '<body class="x"><p class="b">Hello, {{ name }}</p></body></html>'
)
WRITTEN = {
    "markdown": {"format": "markdown", "body": "Hello, **{{ name }}**"},
    "html": {"format": "html", "body": PAGE},
    "blocks": {"source_format": "blocks", "source": BLOCKS},
    "mjml": {"source_format": "mjml", "source": MJML},
}


def add_layout(browser: FlaskClient, session: Session, **changes: str) -> Layout:
    form = {"name": "Frame", "source_format": "html", "source": FRAME} | changes
    response = browser.post("/messages/layouts/new", data=form)
    assert response.location == "/messages/layouts", response.text
    return session.scalars(select(Layout).order_by(Layout.id.desc())).first() or pytest.fail("not saved")


def add_message(browser: FlaskClient, session: Session, layout: Layout, kind: str) -> Message:
    form = {"subject": "News", "language": "en", "layout": str(layout.id)} | WRITTEN[kind]
    response = browser.post("/messages/new", data=form)
    assert response.status_code == 302, soup(response).select(".field-errors")
    return session.scalars(select(Message).order_by(Message.id.desc())).first() or pytest.fail("not saved")


@pytest.mark.both_engines
@pytest.mark.parametrize("frame", ["html", "blocks"])
@pytest.mark.parametrize("kind", WRITTEN)
def test_messages_of_all_formats_are_composed_into_a_layout(
    browser: FlaskClient, session: Session, kind: str, frame: str
) -> None:
    source = FRAME if frame == "html" else json.dumps(DESIGN)
    layout = add_layout(browser, session, source_format=frame, source=source)

    message = add_message(browser, session, layout, kind)

    assert message.format is MessageFormat.HTML
    page = browser.get(f"/messages/{message.id}/preview?part=html").text
    top, text, bottom = (page.index(part) for part in (">Top<", "Anna Example", "Bottom"))
    assert top < text < bottom
    assert page.count("<html") == page.count("<body") == page.count("</body>") == 1
    if frame == "blocks":
        assert "#aabbcc" in page
    if kind == "html":
        assert "color: #123456" in page[:text]


def test_a_layout_keeps_the_text_as_written(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session)
    message = add_message(browser, session, layout, "markdown")
    assert message.current_source == (SourceFormat.MARKDOWN, "Hello, **{{ name }}**")

    page = soup(browser.get(f"/messages/{message.id}/edit"))

    assert page.select_one("textarea[name=body]").get_text().strip() == "Hello, **{{ name }}**"  # type: ignore[union-attr]
    assert page.select_one("input[name=format][value=markdown]").has_attr("checked")  # type: ignore[union-attr]
    assert page.select_one("select[name=layout] option[selected]")["value"] == str(layout.id)  # type: ignore[index]
    without = {"subject": "News", "layout": "", **WRITTEN["markdown"]}
    browser.post(f"/messages/{message.id}/edit", data=without)
    session.refresh(message)
    assert (message.format, message.layout_id) == (MessageFormat.MARKDOWN, None)
    assert message.body == "Hello, **{{ name }}**"


def test_plain_text_has_no_layout(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session)
    form = {"subject": "News", "format": "text", "body": "Hello", "layout": str(layout.id)}
    browser.post("/messages/new", data=form)
    message = session.scalars(select(Message)).one()
    assert (message.format, message.body, message.layout_id) == (MessageFormat.TEXT, "Hello", None)


@pytest.mark.both_engines
def test_a_changed_layout_changes_previews_and_later_runs_only(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    layout = add_layout(browser, session)
    message = add_message(browser, session, layout, "markdown")
    ClientFactory.create(owner=user)
    first, second = (
        MailingFactory.create(owner=user, message=message, state="scheduled", next_run_at=utcnow())
        for _ in range(2)
    )
    session.commit()
    with app.app_context():
        assert plan.start_due_run(first.id, utcnow())

    changed = {"name": "Frame", "source_format": "html", "source": FRAME.replace("Top", "Changed")}
    browser.post(f"/messages/layouts/{layout.id}/edit", data=changed)

    assert ">Changed<" in browser.get(f"/messages/{message.id}/preview?part=html").text
    with app.app_context():
        assert plan.start_due_run(second.id, utcnow() + timedelta(seconds=1))
    session.expire_all()
    bodies = {run.mailing_id: run.body for run in session.scalars(select(Run))}
    assert ">Top<" in bodies[first.id]
    assert ">Changed<" in bodies[second.id]


@pytest.mark.both_engines
def test_messages_of_a_deleted_layout_have_no_layout(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session)
    text, design = (add_message(browser, session, layout, kind) for kind in ("markdown", "blocks"))
    browser.post(f"/messages/{text.id}/template", data={"name": "Monthly"})
    template = session.scalars(select(MessageTemplate)).one()
    assert template.layout_id == layout.id

    assert "News" in browser.get(f"/messages/layouts/{layout.id}/delete").text
    browser.post(f"/messages/layouts/{layout.id}/delete")

    session.expire_all()
    assert session.scalars(select(Layout)).all() == []
    assert (text.format, text.body, text.source) == (MessageFormat.MARKDOWN, "Hello, **{{ name }}**", "")
    assert (template.format, template.current_source) == (MessageFormat.MARKDOWN, (SourceFormat.NONE, ""))
    assert design.current_source == (SourceFormat.BLOCKS, BLOCKS)
    page = browser.get(f"/messages/{design.id}/preview?part=html").text
    assert "Anna Example" in page
    assert ">Top<" not in page


TWICE = json.dumps(DESIGN | {"blocks": [*DESIGN["blocks"], {"id": "x", "type": "content"}]})
CONTENT_TWICE = "A layout can contain {{ content }} or its block only once."
CONTENT_MISSING = "The layout has no place for the text: add {{ content }} or its block."


@pytest.mark.parametrize(
    ("source_format", "source", "error"),
    [
        ("html", "<p>Hello</p>", CONTENT_MISSING),
        ("html", "{{ content }}{{content}}", CONTENT_TWICE),
        ("html", '<a href="{{ content }}">x</a>', "must not be inside a tag"),
        ("html", "<style>{{ content }}</style>", "must not be inside a tag"),
        ("html", '<p title="a < {{ content }}">', "must not be inside a tag"),
        ("html", '<p title="{{ content }}', "must not be inside a tag"),
        ("html", "<!doctype {{ content }}>", "must not be inside a tag"),
        ("html", "{% comment %}{{ content }}{% endcomment %}", "must not be inside a tag"),
        ("html", "{% for i in (1..3) %}{{ content }}{% endfor %}", "must not be inside a tag"),
        ("html", "{{ content }}{% if %}", "if"),
        ("blocks", BLOCKS, CONTENT_MISSING),
        (
            "blocks",
            TWICE,
            CONTENT_TWICE,
        ),
    ],
)
def test_a_layout_needs_one_place_for_the_content(
    browser: FlaskClient, session: Session, source_format: str, source: str, error: str
) -> None:
    form = {"name": "Frame", "source_format": source_format, "source": source}
    page = soup(browser.post("/messages/layouts/new", data=form))
    assert error in page.select_one("#source-error").get_text()  # type: ignore[union-attr]
    assert session.scalars(select(Layout)).all() == []


def test_a_message_cannot_have_a_content_block(browser: FlaskClient) -> None:
    form = {"subject": "News", "source_format": "blocks", "source": json.dumps(DESIGN)}
    assert "There is no block type “content”." in browser.post("/messages/new", data=form).text


@pytest.mark.parametrize("kind", ["blocks", "html"])
def test_a_new_layout_is_ready_to_be_saved(browser: FlaskClient, session: Session, kind: str) -> None:
    page = soup(browser.get(f"/messages/layouts/new?kind={kind}"))
    source = page.select_one("textarea[name=source]").get_text()  # type: ignore[union-attr]
    layout = add_layout(browser, session, source_format=kind, source=source)
    sample = browser.get(f"/messages/layouts/{layout.id}/preview")
    assert "This is where the text of your message appears." in sample.text
    typed = browser.post(
        "/messages/insight", data={"is_layout": "1", "source_format": kind, "source": source}
    )
    assert "This is where the text" in typed.json["text"]  # type: ignore[index]


def test_new_messages_begin_with_the_default_layout(browser: FlaskClient, session: Session) -> None:
    first, second = add_layout(browser, session), add_layout(browser, session, name="Other")
    for layout in (first, second):
        browser.post(f"/messages/layouts/{layout.id}/default")
    for query in ("", "?kind=blocks", "?kind=mjml"):
        page = soup(browser.get(f"/messages/new{query}"))
        assert page.select_one("select[name=layout] option[selected]")["value"] == str(second.id)  # type: ignore[index]
    source = soup(browser.get("/messages/new?kind=blocks")).select_one("textarea[name=source]")
    blocks = json.loads(source.get_text())  # type: ignore[union-attr]
    assert {block["type"] for block in blocks["blocks"]} == {"heading", "text", "button"}
    browser.post(f"/messages/layouts/{second.id}/default")
    assert not any(session.scalars(select(Layout.is_default)))


def test_a_change_in_another_window_is_not_overwritten_without_asking(
    browser: FlaskClient, session: Session
) -> None:
    layout = add_layout(browser, session)
    url = f"/messages/layouts/{layout.id}/edit"
    opened = soup(browser.get(url)).select_one("input[name=seen]")["value"]  # type: ignore[index]
    form = {"name": "Frame", "source_format": "html", "source": FRAME + "1", "seen": str(opened)}
    browser.post(f"/messages/layouts/{layout.id}/default")
    assert browser.post(url, data=form).status_code == 302
    response = browser.post(url, data=form | {"source": FRAME + "2"})
    session.refresh(layout)
    assert (response.status_code, layout.body) == (409, FRAME + "1")
    page = soup(response)
    assert "changed in another window" in page.select_one(".flash-warning").get_text()  # type: ignore[union-attr]
    assert page.select_one("textarea[name=source]").get_text().strip() == FRAME + "2"  # type: ignore[union-attr]
    form |= {"source": FRAME + "2", "seen": str(page.select_one("input[name=seen]")["value"])}  # type: ignore[index]
    assert browser.post(url, data=form).status_code == 302
    session.refresh(layout)
    assert layout.body == FRAME + "2"


def test_layouts_of_other_owners_are_not_found(browser: FlaskClient, session: Session) -> None:
    other = Layout(owner_id=UserFactory.create().id, name="Secret", format="html", body=FRAME)
    session.add(other)
    session.commit()
    form = {"subject": "News", "layout": str(other.id), **WRITTEN["markdown"]}
    browser.post("/messages/new", data=form)
    assert session.scalars(select(Message)).one().layout_id is None
    assert "Secret" not in browser.get("/messages/layouts").text


def test_blocks_that_the_layout_repeats_are_found(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session, source_format="blocks", source=json.dumps(DESIGN))
    design = json.loads(BLOCKS)
    design["blocks"] += [{"id": "b", "type": "logo"}, {"id": "c", "type": "footer"}]
    form = {"subject": "News", "source_format": "blocks", "source": json.dumps(design)}
    alone = browser.post("/messages/insight", data=form).json
    found = browser.post("/messages/insight", data=form | {"layout": str(layout.id)}).json
    assert alone is not None
    assert found is not None
    assert alone["findings"] == []
    assert found["findings"] == [{"text": "The layout already has a footer.", "pointer": "/blocks/2"}]


def test_an_error_has_the_line_of_the_text(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session)
    form = {"subject": "News", "layout": str(layout.id), "format": "markdown", "body": "a\n\n{{ x | shout }}"}
    page = soup(browser.post("/messages/new", data=form))
    assert "Line 3" in page.select_one("#body-error").get_text()  # type: ignore[union-attr]
    assert browser.post("/messages/insight", data=form).json["problem"]["line"] == 3  # type: ignore[index]


def test_an_unfinished_text_is_kept_as_a_draft(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session)
    form = {"subject": "News", "layout": str(layout.id), "format": "markdown", "body": "a {{ x"}
    draft = browser.post("/messages/drafts", data=form).json
    page = soup(browser.get(f"/messages/new?draft={draft['draft']}"))  # type: ignore[index]
    assert page.select_one("textarea[name=body]").get_text().strip() == "a {{ x"  # type: ignore[union-attr]
    assert page.select_one("select[name=layout] option[selected]")["value"] == str(layout.id)  # type: ignore[index]


def test_switching_the_format_converts_only_the_text(browser: FlaskClient, session: Session) -> None:
    layout = add_layout(browser, session)
    form = {"subject": "News", "layout": str(layout.id), "to": "html", **WRITTEN["markdown"]}
    body = browser.post("/messages/convert", data=form).json["body"]  # type: ignore[index]
    assert "<strong>{{ name }}</strong>" in body
    assert ">Top<" not in body


def test_layouts_are_limited(browser: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "MAX_LAYOUTS", 1)
    add_layout(browser, session)
    form = {"name": "Other", "source_format": "html", "source": FRAME}
    assert "You can save up to 1 layouts." in browser.post("/messages/layouts/new", data=form).text
