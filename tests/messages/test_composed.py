"""Test messages that are composed of blocks or from MJML: saving, drafts, previews and conversion."""

import json
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from skymailing.messages.unused import is_used
from skymailing.models import Message, MessageDraft, MessageFormat, MessagePicture, SourceFormat, User

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


@pytest.mark.parametrize(
    ("source_format", "source", "error"),
    [
        ("blocks", "{", "The design is not valid JSON."),
        ("blocks", json.dumps(DESIGN | {"x": 1}), "/x: There is no field “x”."),
        (
            "mjml",
            "<mjml>\n<p>",
            "Line 2: There is no MJML element <p>. HTML goes into <mj-text> or <mj-raw>.",
        ),
        ("mjml", MJML.replace("{{ name }}", "{{ name | shout }}"), "Line 1: There is no filter “shout”"),
    ],
)
def test_errors_are_shown_without_losing_the_source(
    browser: FlaskClient, session: Session, source_format: str, source: str, error: str
) -> None:
    response = browser.post("/messages/new", data=FORM | {"source_format": source_format, "source": source})

    page = BeautifulSoup(response.text, "html.parser")
    assert response.status_code == 200
    assert error in page.select_one("#source-error").get_text()  # type: ignore[union-attr]
    assert page.select_one("textarea[name=source]").get_text().strip() == source  # type: ignore[union-attr]
    assert session.scalars(select(Message)).all() == []


def test_an_error_in_the_subject_is_shown_for_the_subject(browser: FlaskClient) -> None:
    page = BeautifulSoup(browser.post("/messages/new", data=FORM | {"subject": "{{ x"}).text, "html.parser")
    assert page.select_one("#subject-error") is not None
    assert page.select_one("#source-error") is None


def test_an_edit_by_an_earlier_version_turns_the_message_into_html(
    browser: FlaskClient, session: Session
) -> None:
    message = create(browser, session)
    # An earlier release ignores the source.
    earlier = update(Message).values(body="<p>Edited</p>", version=Message.version + 1)
    session.execute(earlier.where(Message.id == message.id))
    session.commit()

    edit = BeautifulSoup(browser.get(f"/messages/{message.id}/edit").text, "html.parser")

    assert edit.select_one("input[name=source_format]")["value"] == ""  # type: ignore[index]
    assert edit.select_one("textarea[name=body]").get_text().strip() == "<p>Edited</p>"  # type: ignore[union-attr]
    form = {"subject": "News", "format": "html", "body": "<p>Again</p>", "version": "2"}
    browser.post(f"/messages/{message.id}/edit", data=form)
    session.refresh(message)
    assert (message.body, message.source, message.source_format) == ("<p>Again</p>", "", "")


def test_a_composed_message_continues_as_html_only_on_request(browser: FlaskClient, session: Session) -> None:
    message = create(browser, session)
    path = f"/messages/{message.id}/edit"

    page = BeautifulSoup(browser.get(path).text, "html.parser")
    assert page.select_one("textarea[name=body]") is None
    link = page.find("a", string="Continue as HTML")
    page = BeautifulSoup(browser.get(link["href"]).text, "html.parser")  # type: ignore[index]
    assert page.select_one("input[name=source_format]")["value"] == ""  # type: ignore[index]
    assert page.select_one("textarea[name=body]").get_text().strip() == message.body.strip()  # type: ignore[union-attr]


def test_a_program_that_sends_a_body_replaces_the_design(browser: FlaskClient, session: Session) -> None:
    message = create(browser, session)
    form = {"subject": "News", "format": "markdown", "body": "Hello"}
    assert browser.post(f"/messages/{message.id}/edit", data=form).status_code == 302
    session.refresh(message)
    assert (message.format, message.body) == (MessageFormat.MARKDOWN, "Hello")
    assert message.current_source == (SourceFormat.NONE, "")


def test_an_unfinished_draft_continues_with_the_saved_html(browser: FlaskClient, session: Session) -> None:
    message = create(browser, session)
    browser.post(f"/messages/{message.id}/draft", data=FORM | {"source": "{", "version": "1"})
    page = BeautifulSoup(browser.get(f"/messages/{message.id}/edit?as=html").text, "html.parser")
    assert page.select_one("textarea[name=body]").get_text().strip() == message.body.strip()  # type: ignore[union-attr]


def create(browser: FlaskClient, session: Session) -> Message:
    browser.post("/messages/new", data=FORM)
    return session.scalars(select(Message)).one()


@pytest.mark.both_engines
def test_a_conflict_keeps_the_version_saved_by_the_other_window(
    browser: FlaskClient, session: Session
) -> None:
    message = create(browser, session)
    other = FORM | {"source": json.dumps(DESIGN | {"blocks": []}), "version": "1"}
    assert browser.post(f"/messages/{message.id}/edit", data=other).status_code == 302

    assert browser.post(f"/messages/{message.id}/edit", data=FORM | {"version": "1"}).status_code == 409

    session.refresh(message)
    assert message.current_source == (SourceFormat.BLOCKS, other["source"])


@pytest.mark.both_engines
def test_copies_and_restored_messages_keep_the_source(browser: FlaskClient, session: Session) -> None:
    message = create(browser, session)
    source, body = message.source, message.body

    browser.post(f"/messages/{message.id}/duplicate")
    browser.post(f"/messages/{message.id}/delete")
    draft = session.scalars(select(MessageDraft)).one()
    browser.post(f"/messages/drafts/{draft.id}/restore")

    session.expire_all()
    for copy in session.scalars(select(Message)):
        assert copy.current_source == (SourceFormat.BLOCKS, source)
        assert copy.body == body


@pytest.mark.both_engines
def test_a_draft_keeps_an_unfinished_source(browser: FlaskClient, session: Session) -> None:
    answer = browser.post("/messages/drafts", data=FORM | {"source": '{"version": 1, "blocks": ['}).json
    assert answer is not None
    draft = session.scalars(select(MessageDraft)).one()
    assert draft.current_source == (SourceFormat.BLOCKS, '{"version": 1, "blocks": [')
    assert draft.body == ""
    edit = browser.get(f"/messages/new?draft={answer['draft']}").text
    assert "{&#34;version&#34;: 1, &#34;blocks&#34;: [" in edit

    browser.post(f"/messages/drafts/{draft.id}", data=FORM | {"revision": str(answer["revision"])})
    session.refresh(draft)
    assert draft.current_source == (SourceFormat.BLOCKS, FORM["source"])
    assert "Hello, {{ name }} &lt;3" in draft.body
    # An earlier release saves the draft, so its body counts.
    session.execute(update(MessageDraft).values(body="<p>a</p>", revision=MessageDraft.revision + 1))
    session.commit()
    session.refresh(draft)
    assert draft.current_source == (SourceFormat.NONE, "")


def test_the_preview_shows_the_typed_content(browser: FlaskClient) -> None:
    page = browser.post("/messages/preview", data=FORM | {"part": "html"}).text
    assert "Hello, Anna Example &lt;3" in page
    facts = browser.post("/messages/insight", data=FORM).json
    assert facts is not None
    assert "Buy (https://shop.example/?a=1&b=2)" in facts["text"]
    typo = FORM | {"source": json.dumps(DESIGN).replace("{{ name }}", "{{ nmae }}")}
    facts = browser.post("/messages/insight", data=typo).json
    assert facts is not None
    assert facts["unknown"] == [["{{ nmae }}", "{{ name }}"]]


def test_errors_in_the_preview_have_a_location(browser: FlaskClient) -> None:
    broken = FORM | {"source": json.dumps(DESIGN).replace("#c0392b", "red")}
    facts = browser.post("/messages/insight", data=broken).json
    assert facts is not None
    assert facts["problem"] == {
        "text": "Enter a colour such as #0b63ce.",
        "line": None,
        "pointer": "/settings/button",
    }
    assert (
        "/settings/button: Enter a colour such as #0b63ce."
        in browser.post("/messages/preview", data=broken).text
    )
    response = browser.post("/messages/convert", data=broken | {"to": "html"})
    assert (response.status_code, response.json) == (
        422,
        {"problem": "/settings/button: Enter a colour such as #0b63ce."},
    )


def test_a_design_is_converted_to_html_and_text(browser: FlaskClient) -> None:
    html = browser.post("/messages/convert", data=FORM | {"to": "html"}).json
    text = browser.post("/messages/convert", data=FORM | {"to": "text"}).json
    assert html is not None
    assert text is not None
    assert "Hello, {{ name }} &lt;3</h1>" in html["body"]
    assert text["body"].startswith("Hello, {{ name }} <3\n\nBuy (https://shop.example/?a=1&b=2)")


@pytest.mark.parametrize("kind", ["blocks", "mjml"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_new_composed_message_starts_with_an_example(
    browser: FlaskClient, session: Session, user: User, kind: str, language: str
) -> None:
    user.locale = language
    session.commit()
    page = BeautifulSoup(browser.get(f"/messages/new?kind={kind}").text, "html.parser")
    source = page.select_one("textarea[name=source]").get_text()  # type: ignore[union-attr]

    form = {"subject": "s", "source_format": kind, "source": source.strip()}
    assert browser.post("/messages/new", data=form).status_code == 302

    message = session.scalars(select(Message)).one()
    assert message.language == language
    assert "unsubscribe_url" in message.body


def test_pictures_in_unfinished_designs_and_saved_blocks_are_in_use(
    browser: FlaskClient, session: Session, user: User
) -> None:
    picture = MessagePicture(owner_id=user.id, name="0" * 32 + "-1x1.png")
    assert not is_used(session, user.id, picture.name)
    browser.post("/messages/drafts", data=FORM | {"source": f'{{"x": "{picture.name}"}}'})
    assert is_used(session, user.id, picture.name)
    session.execute(delete(MessageDraft))
    block = {"id": "a", "type": "picture", "src": f"https://mail.example/messages/pictures/{picture.name}"}
    browser.post("/messages/blocks", data={"name": "Picture", "block": json.dumps(block)})
    assert is_used(session, user.id, picture.name)


@pytest.mark.parametrize("form", [FORM, {"subject": "s", "format": "markdown", "body": "Hello"}])
def test_a_preheader_is_saved_previewed_and_checked(
    browser: FlaskClient, session: Session, form: dict[str, str]
) -> None:
    form = form | {"preheader": "Dear {{ name }}"}
    browser.post("/messages/drafts", data=form)
    assert session.scalars(select(MessageDraft)).one().preheader == "Dear {{ name }}"
    assert "Dear Anna Example" in browser.post("/messages/preview", data=form | {"part": "html"}).text
    browser.post("/messages/new", data=form)
    message = session.scalars(select(Message)).one()
    assert message.preheader == "Dear {{ name }}"
    assert "Dear" not in message.body
    assert "Dear Anna Example" in browser.get(f"/messages/{message.id}/preview?part=html").text
    # A program that omits the field does not change it.
    browser.post(f"/messages/{message.id}/edit", data={k: v for k, v in form.items() if k != "preheader"})
    session.refresh(message)
    assert (message.preheader, message.version) == ("Dear {{ name }}", 2)

    page = BeautifulSoup(browser.post("/messages/new", data=form | {"preheader": "{{ x"}).text, "html.parser")
    assert "is not closed" in page.select_one("#preheader-error").get_text()  # type: ignore[union-attr]
