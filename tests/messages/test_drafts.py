"""What is typed is kept; two windows, a change of mind and a deletion lose nothing."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.messages import drafts
from skymailing.models import AuditAction, AuditEntry, Message, MessageDraft, MessageFormat, User
from skymailing.undo import KEPT_FOR
from tests.support.factories import MessageDraftFactory, MessageFactory

TYPED = {"subject": "New", "format": "html", "body": "<p>new & better</p>"}


def keep(browser: FlaskClient, status: int = 200, **values: object) -> dict[str, Any]:
    draft, message = values.pop("draft", None), values.pop("message", None)
    path = f"drafts/{draft}" if draft else f"{message}/draft" if message else "drafts"
    answer = browser.post(f"/messages/{path}", data={**TYPED, **values})
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json
    return told


def only_draft(session: Session) -> MessageDraft:
    session.expire_all()
    return session.scalars(select(MessageDraft)).one()


def test_a_new_letter_is_kept_shown_again_and_gone_once_it_is_saved(
    browser: FlaskClient, session: Session
) -> None:
    told = keep(browser)
    keep(browser, draft=told["draft"], revision=told["revision"], body="<p>newer</p>", subject="")

    page = browser.get(f"/messages/new?draft={told['draft']}").text
    assert "&lt;p&gt;newer&lt;/p&gt;" in page
    assert "Discard the draft" in page
    for path in ("/messages/", "/messages/new"):
        assert f"/messages/new?draft={told['draft']}" in browser.get(path).text
    assert session.scalars(select(Message)).all() == []
    browser.post("/messages/new", data={**TYPED, "draft": told["draft"]})
    assert session.scalars(select(MessageDraft)).all() == []
    # A tab that still shows it loses nothing, and one that goes back to it is told.
    assert browser.post(f"/messages/new?draft={told['draft']}", data=TYPED).status_code == 302
    gone = browser.get(f"/messages/new?draft={told['draft']}", follow_redirects=True)
    assert "saved or discarded" in gone.text


def test_drafts_change_nothing_until_saved(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Old", body="old")
    keep(browser, message=message.id, version=1)

    assert "new &amp; better" in browser.get(f"/messages/{message.id}/edit").text
    assert "new &amp; better" not in browser.get(f"/messages/{message.id}/edit?saved=1").text
    assert "with changes that are not saved" in browser.get("/messages/").text
    session.refresh(message)
    assert (message.subject, message.body) == ("Old", "old")
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1})
    session.refresh(message)
    assert (message.subject, message.version) == ("New", 2)
    assert session.scalars(select(MessageDraft)).all() == []


def test_two_windows_notice_each_others_drafts(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    first = keep(browser, message=message.id, version=1, body="first")

    told = keep(browser, 409, message=message.id, version=1, body="second")
    assert told == {"reason": "elsewhere", "draft": first["draft"]}
    assert only_draft(session).body == "first"
    taken = keep(browser, message=message.id, draft=first["draft"], force=1, body="second")
    assert keep(browser, 409, draft=first["draft"], revision=first["revision"])["reason"] == "elsewhere"
    assert only_draft(session).body == "second"
    assert only_draft(session).revision == taken["revision"]


def test_a_message_is_not_written_over_unasked(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1, "body": "first"})

    assert keep(browser, 409, message=message.id, version=1)["reason"] == "changed"
    answer = browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1, "body": "second"})
    assert answer.status_code == 409
    assert "was changed in another window" in answer.text
    assert ">\r\nsecond</textarea>" in answer.text
    session.refresh(message)
    assert message.body == "first"
    # The page that says so knows the new version: saving it again is a decision.
    assert 'name="version" value="2"' in answer.text
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 2, "body": "second"})
    session.refresh(message)
    assert message.body == "second"


def test_a_broken_text_does_not_lift_the_lock(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1})

    answer = browser.post(f"/messages/{message.id}/edit", data={**TYPED, "version": 1, "body": "{{ a"})

    assert 'name="version" value="1"' in answer.text


def test_programs_that_know_no_versions_save_as_ever(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user, version=7)

    assert browser.post(f"/messages/{message.id}/edit", data=TYPED).status_code == 302


def test_a_discarded_draft_comes_back(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    draft = keep(browser, message=message.id, version=1)["draft"]

    answer = browser.post(f"/messages/drafts/{draft}/discard", follow_redirects=True)
    assert f'action="/messages/drafts/{draft}/restore"' in answer.text
    assert "new &amp; better" not in browser.get(f"/messages/{message.id}/edit").text
    browser.post(f"/messages/drafts/{draft}/restore")
    assert "new &amp; better" in browser.get(f"/messages/{message.id}/edit").text


def test_a_draft_begun_since_is_not_replaced_by_an_undo(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    old = keep(browser, message=message.id, version=1)["draft"]
    browser.post(f"/messages/drafts/{old}/discard")
    keep(browser, message=message.id, version=1, body="newer")

    answer = browser.post(f"/messages/drafts/{old}/restore", follow_redirects=True)

    assert "newer draft" in answer.text
    assert ">\r\nnewer</textarea>" in answer.text


def test_a_deleted_message_comes_back(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Precious", format=MessageFormat.TEXT, body="words")

    listed = browser.post(f"/messages/{message.id}/delete", follow_redirects=True)
    assert session.scalars(select(Message)).all() == []
    draft = only_draft(session)
    assert f'action="/messages/drafts/{draft.id}/restore"' in listed.text
    answer = browser.post(f"/messages/drafts/{draft.id}/restore")
    restored = session.scalars(select(Message)).one()
    assert answer.location == f"/messages/{restored.id}"
    assert (restored.subject, restored.format, restored.body) == ("Precious", MessageFormat.TEXT, "words")
    assert session.scalars(select(MessageDraft)).all() == []
    audited = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert audited == [AuditAction.MESSAGE_DELETED, AuditAction.MESSAGE_RESTORED]


def test_a_deletion_can_be_undone_for_an_hour(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/delete")
    draft = only_draft(session)
    draft.discarded_at = utcnow() - KEPT_FOR
    session.commit()

    assert browser.post(f"/messages/drafts/{draft.id}/restore").status_code == 404
    assert session.scalars(select(Message)).all() == []
    with app.app_context():
        jobs.run_sweep(utcnow())
    assert session.scalars(select(MessageDraft)).all() == []


def test_the_sweep_forgets_what_nobody_came_back_for(app: Flask, session: Session, user: User) -> None:
    now = utcnow()
    for age, discarded in ((drafts.KEPT, False), (drafts.KEPT_DISCARDED, True)):
        for more, name in ((timedelta(hours=1), "old"), (-timedelta(hours=1), "young")):
            moment = now - age - more
            MessageDraftFactory.create(
                owner_id=user.id, subject=name, saved_at=moment, discarded_at=moment if discarded else None
            )

    with app.app_context():
        jobs.run_sweep(now)

    assert list(session.scalars(select(MessageDraft.subject))) == ["young", "young"]


def test_odd_drafts_are_kept_as_they_are(browser: FlaskClient, session: Session) -> None:
    keep(browser, subject="s" * 3_000, format="word", body="{{ not finished \x00\r\n")

    draft = only_draft(session)
    assert (draft.format, draft.body) == (MessageFormat.MARKDOWN, "{{ not finished \n")
    assert len(draft.subject) == 500


def test_there_is_an_end_to_drafts(browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_DRAFTS", 2)
    for _ in range(2):
        keep(browser)

    assert keep(browser, 409)["reason"] == "full"


def test_somebody_elses_draft_is_not_found(browser: FlaskClient, session: Session) -> None:
    draft = MessageDraftFactory.create(subject="secret")

    assert "secret" not in browser.get(f"/messages/new?draft={draft.id}", follow_redirects=True).text
    assert browser.post(f"/messages/drafts/{draft.id}", data={**TYPED, "force": 1}).status_code == 404
    message = MessageFactory.create()
    assert browser.post(f"/messages/{message.id}/draft", data=TYPED).status_code == 404
    # Saving with the number of a stranger's draft leaves that alone.
    browser.post("/messages/new", data={**TYPED, "draft": draft.id})
    assert only_draft(session).subject == "secret"
