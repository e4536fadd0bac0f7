"""Test that drafts are saved during typing and that nothing is lost by a conflict, discard or deletion."""

from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.messages import drafts
from skymailing.models import AuditAction, AuditEntry, Message, MessageDraft, MessageFormat, User
from skymailing.undo import UNDO_WINDOW
from tests.conftest import SetLimits
from tests.mailings.pages import soup
from tests.support.factories import MessageDraftFactory, MessageFactory

TYPED = {"subject": "New", "format": "html", "body": "<p>new & better</p>"}


def save_draft(browser: FlaskClient, status: int = 200, **values: object) -> dict[str, Any]:
    """Save a draft as the editor does; return the JSON response."""
    draft, message = values.pop("draft", None), values.pop("message", None)
    path = f"drafts/{draft}" if draft else f"{message}/draft" if message else "drafts"
    response = browser.post(f"/messages/{path}", data={**TYPED, **values})
    assert response.status_code == status, response.text
    assert isinstance(response.json, dict)
    return response.json


def get_only_draft(session: Session) -> MessageDraft:
    session.expire_all()
    return session.scalars(select(MessageDraft)).one()


def test_a_new_messages_draft_is_offered_until_it_is_saved(browser: FlaskClient, session: Session) -> None:
    saved = save_draft(browser)
    save_draft(browser, draft=saved["draft"], revision=saved["revision"], body="<p>newer</p>", subject="")

    page = browser.get(f"/messages/new?draft={saved['draft']}").text
    assert "&lt;p&gt;newer&lt;/p&gt;" in page
    assert "Discard draft" in page
    for path in ("/messages/", "/messages/new"):
        assert f"/messages/new?draft={saved['draft']}" in browser.get(path).text
    assert session.scalars(select(Message)).all() == []
    browser.post("/messages/new", data={**TYPED, "draft": saved["draft"]})
    assert session.scalars(select(MessageDraft)).all() == []
    # A tab that still shows the draft can save it. A tab that opens it again gets an explanation.
    assert browser.post(f"/messages/new?draft={saved['draft']}", data=TYPED).status_code == 302
    response = browser.get(f"/messages/new?draft={saved['draft']}", follow_redirects=True)
    assert "saved or discarded" in response.text


def test_a_new_message_can_be_saved_to_be_sent_next(browser: FlaskClient, session: Session) -> None:
    response = browser.post("/messages/new", data={**TYPED, "then": "mailing"})
    message = session.scalars(select(Message)).one()
    assert response.location == f"/mailings/new?message={message.id}"
    (chosen,) = soup(browser.get(response.location)).select("[name=message] option[selected]")
    assert chosen["value"] == str(message.id)


def test_a_draft_does_not_change_the_message_until_it_is_saved(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user, subject="Old", body="old")
    save_draft(browser, message=message.id, version=1)

    assert "new &amp; better" in browser.get(f"/messages/{message.id}/edit").text
    assert "new &amp; better" not in browser.get(f"/messages/{message.id}/edit?saved=1").text
    assert "unsaved changes" in browser.get("/messages/").text
    session.refresh(message)
    assert (message.subject, message.body) == ("Old", "old")
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1})
    session.refresh(message)
    assert (message.subject, message.version) == ("New", 2)
    assert session.scalars(select(MessageDraft)).all() == []


def test_a_second_window_gets_a_conflict_and_can_overwrite_the_draft(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    first = save_draft(browser, message=message.id, version=1, body="first")

    saved = save_draft(browser, 409, message=message.id, version=1, body="second")
    assert saved == {"reason": "elsewhere", "draft": first["draft"]}
    assert get_only_draft(session).body == "first"
    forced = save_draft(browser, message=message.id, draft=first["draft"], force=1, body="second")
    assert save_draft(browser, 409, draft=first["draft"], revision=first["revision"])["reason"] == "elsewhere"
    assert get_only_draft(session).body == "second"
    assert get_only_draft(session).revision == forced["revision"]


def test_a_save_based_on_an_old_version_is_a_conflict(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1, "body": "first"})

    assert save_draft(browser, 409, message=message.id, version=1)["reason"] == "changed"
    response = browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1, "body": "second"})
    assert response.status_code == 409
    assert "was changed in another window" in response.text
    assert ">\r\nsecond</textarea>" in response.text
    session.refresh(message)
    assert message.body == "first"
    # The conflict page contains the new version number, so saving again deliberately replaces that version.
    assert 'name="version" value="2"' in response.text
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 2, "body": "second"})
    session.refresh(message)
    assert message.body == "second"


def test_a_form_with_errors_keeps_its_version(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1})

    response = browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1, "body": "{{ a"})

    assert 'name="version" value="1"' in response.text


def test_a_save_without_a_version_is_accepted(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, version=7)

    assert browser.post(f"/messages/{message.id}/edit", data=TYPED).status_code == 302


def test_a_discarded_draft_can_be_restored(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    draft = save_draft(browser, message=message.id, version=1)["draft"]

    response = browser.post(f"/messages/drafts/{draft}/discard", follow_redirects=True)
    assert f'action="/messages/drafts/{draft}/restore"' in response.text
    assert "new &amp; better" not in browser.get(f"/messages/{message.id}/edit").text
    browser.post(f"/messages/drafts/{draft}/restore")
    assert "new &amp; better" in browser.get(f"/messages/{message.id}/edit").text


def test_restoring_does_not_replace_a_newer_draft(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    old = save_draft(browser, message=message.id, version=1)["draft"]
    browser.post(f"/messages/drafts/{old}/discard")
    save_draft(browser, message=message.id, version=1, body="newer")

    response = browser.post(f"/messages/drafts/{old}/restore", follow_redirects=True)

    assert "newer draft" in response.text
    assert ">\r\nnewer</textarea>" in response.text


def test_a_deleted_message_can_be_restored(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Precious", format=MessageFormat.TEXT, body="words")

    response = browser.post(f"/messages/{message.id}/delete", follow_redirects=True)
    assert session.scalars(select(Message)).all() == []
    draft = get_only_draft(session)
    assert f'action="/messages/drafts/{draft.id}/restore"' in response.text
    response = browser.post(f"/messages/drafts/{draft.id}/restore")
    restored = session.scalars(select(Message)).one()
    assert response.location == f"/messages/{restored.id}"
    assert (restored.subject, restored.format, restored.body) == ("Precious", MessageFormat.TEXT, "words")
    assert session.scalars(select(MessageDraft)).all() == []
    audited = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert audited == [AuditAction.MESSAGE_DELETED, AuditAction.MESSAGE_RESTORED]


def test_a_deletion_can_be_undone_for_an_hour(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/delete")
    draft = get_only_draft(session)
    draft.discarded_at = utcnow() - UNDO_WINDOW
    session.commit()

    assert browser.post(f"/messages/drafts/{draft.id}/restore").status_code == 404
    assert session.scalars(select(Message)).all() == []
    with app.app_context():
        jobs.run_sweep(utcnow())
    assert session.scalars(select(MessageDraft)).all() == []


def test_the_sweep_deletes_expired_drafts(app: Flask, session: Session, user: User) -> None:
    now = utcnow()
    for age, discarded in ((drafts.RETENTION, False), (drafts.DISCARDED_RETENTION, True)):
        for offset, name in ((timedelta(hours=1), "expired"), (-timedelta(hours=1), "recent")):
            saved_at = now - age - offset
            MessageDraftFactory.create(
                owner_id=user.id,
                subject=name,
                saved_at=saved_at,
                discarded_at=saved_at if discarded else None,
            )

    with app.app_context():
        jobs.run_sweep(now)

    assert list(session.scalars(select(MessageDraft.subject))) == ["recent", "recent"]


def test_a_draft_with_invalid_fields_is_saved(browser: FlaskClient, session: Session) -> None:
    save_draft(browser, subject="s" * 3_000, format="word", body="{{ not finished \x00\r\n")

    draft = get_only_draft(session)
    assert (draft.format, draft.body) == (MessageFormat.MARKDOWN, "{{ not finished \n")
    assert len(draft.subject) == 500


def test_the_number_of_drafts_is_limited_and_discarded_ones_count(
    browser: FlaskClient, set_limits: SetLimits
) -> None:
    set_limits(drafts=2)
    assert browser.post(save_draft(browser)["discard"]).status_code < 400
    save_draft(browser)

    assert save_draft(browser, 409)["reason"] == "full"


def test_another_users_draft_is_not_found(browser: FlaskClient, session: Session) -> None:
    draft = MessageDraftFactory.create(subject="secret")

    assert "secret" not in browser.get(f"/messages/new?draft={draft.id}", follow_redirects=True).text
    assert browser.post(f"/messages/drafts/{draft.id}", data={**TYPED, "force": 1}).status_code == 404
    message = MessageFactory.create()
    assert browser.post(f"/messages/{message.id}/draft", data=TYPED).status_code == 404
    # Saving with the ID of another user's draft does not delete that draft.
    browser.post("/messages/new", data={**TYPED, "draft": draft.id})
    assert get_only_draft(session).subject == "secret"
