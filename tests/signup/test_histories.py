"""Test the history of consents, and that forms follow changes to their tags."""

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients import consents
from skymailing.clients.consents import Evidence
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    Consent,
    ConsentKind,
    ConsentPurpose,
    Origin,
    SignupForm,
    Tag,
    User,
    form_tags,
)
from tests.returns.scenes import Desk
from tests.signup.people import Visitor
from tests.signup.test_signing_up import Work, confirm, find_client
from tests.support.factories import ClientFactory
from tests.support.servers import SmtpServer


def test_complaints_are_part_of_the_history(app: Flask, session: Session, user: User) -> None:
    desk = Desk(app, session, user)
    angry = desk.send()
    desk.ingest(desk.complain(angry))
    consent = session.scalars(select(Consent)).one()
    assert (consent.kind, consent.email_key) == (ConsentKind.OBJECTED, angry.email_key)
    assert consent.orphaned_at is None


@pytest.mark.one_engine
def test_a_record_about_no_client_is_not_kept_forever(app: Flask, session: Session, user: User) -> None:
    ClientFactory.create(owner=user, email="here@mail.example")
    now = utcnow()
    with app.app_context():
        for email in "here@mail.example", "gone@mail.example":
            evidence = Evidence(ip="192.0.2.7", purpose=ConsentPurpose.TRACKING)
            consents.record(user.id, email, ConsentKind.WITHDRAWN, now, evidence)
        db.session.commit()
    with_client, without_client = session.scalars(select(Consent).order_by(Consent.id)).all()
    assert (with_client.orphaned_at, without_client.orphaned_at) == (None, now)
    assert (with_client.purpose, with_client.ip) == ("tracking", "192.0.2.7")


@pytest.mark.one_engine
def test_forms_follow_when_tags_are_merged_deleted_and_restored(
    session: Session, user: User, browser: FlaskClient, form: SignupForm
) -> None:
    source, target = (Tag(owner_id=user.id, name=name, name_key=name) for name in ("old", "new"))
    session.add_all([source, target])
    form.tags = [source]
    session.flush()
    source_id, target_id, form_id = source.id, target.id, form.id

    def list_tags() -> list[int]:
        session.expire_all()
        return list(session.scalars(select(form_tags.c.tag_id).where(form_tags.c.form_id == form_id)))

    browser.post(f"/clients/tags/{source_id}/merge", data={"into": target_id})
    assert list_tags() == [target_id]
    page = browser.post(f"/clients/tags/{target_id}/delete", follow_redirects=True).text
    assert list_tags() == []
    (undo,) = BeautifulSoup(page, "html.parser").select(".flash form")
    browser.post(str(undo["action"]))
    assert len(list_tags()) == 1


@pytest.mark.one_engine
def test_a_client_who_signed_up_refers_to_the_form(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    Visitor(app).sign_up(form)
    confirm(app, smtp, work)
    client = find_client(session)
    assert client is not None
    assert (client.origin, client.origin_id) == (Origin.FORM, form.id)
