"""Test opens per person: counted only for those who agreed, in letters and folds, until they withdraw."""

import csv
import io
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.clients.merging import merge_clients
from skymailing.clients.open_choice import is_allowed, save_choice
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.send import send_slice
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Delivery,
    MessageFormat,
    OpenTracking,
    Run,
    User,
)
from skymailing.retention.batches import remove_letters
from skymailing.tracking.folding import fold_hits
from tests.auth.test_export import download_archive
from tests.mailings.pages import get_main_text
from tests.support.factories import (
    ClientFactory,
    MessageFactory,
    SuppressionFactory,
    due_mailing,
)
from tests.support.servers import SmtpServer
from tests.tracking.opens import NOW, Choose, Open, client_of, read_opens

LOADED = {
    "User-Agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
}


def test_only_those_who_agreed_are_counted_and_not_even_the_day_is_kept_for_others(
    session: Session, letters: list[Delivery], choose: Choose, open_letter: Open
) -> None:
    choose(client_of(session, letters[0]))
    open_letter(letters[0], 10, 500)
    open_letter(letters[1], 20)
    open_letter(letters[0], 90)
    assert read_opens(session) == {letters[0].id: (3, 500)}


def test_a_withdrawal_deletes_what_was_counted_and_ends_counting(
    session: Session, letters: list[Delivery], choose: Choose, open_letter: Open
) -> None:
    for letter in letters[:2]:
        choose(client_of(session, letter))
        open_letter(letter)
    choose(client_of(session, letters[0]), is_given=False, later=60)
    assert read_opens(session) == {letters[1].id: (1, 0)}
    open_letter(letters[0], 90)
    assert read_opens(session) == {letters[1].id: (1, 0)}
    choose(client_of(session, letters[0]), later=120)
    open_letter(letters[0], 150)
    assert read_opens(session) == {letters[0].id: (1, 150), letters[1].id: (1, 0)}


def test_while_a_person_is_unsubscribed_nothing_is_counted(
    session: Session, user: User, letters: list[Delivery], choose: Choose, open_letter: Open
) -> None:
    client = client_of(session, letters[0])
    choose(client)
    SuppressionFactory.create(owner_id=user.id, email_key=client.email_key)
    open_letter(letters[0])
    assert read_opens(session) == {}


def test_the_consent_of_another_owners_client_means_nothing(
    app: Flask, session: Session, letters: list[Delivery], open_letter: Open
) -> None:
    theirs = ClientFactory.create(email=letters[0].email, email_key=letters[0].email_key)
    with app.app_context():
        save_choice(theirs.owner_id, theirs.email_key, True, NOW)
        db.session.commit()
    open_letter(letters[0])
    assert read_opens(session) == {}


def test_the_tracking_image_is_only_in_letters_to_those_who_agreed(
    app: Flask, session: Session, user: User, smtp: SmtpServer, choose: Choose, visitor: FlaskClient
) -> None:
    anna, boris = (
        ClientFactory.create(owner=user, email=f"{name}@example.org") for name in ("anna", "boris")
    )
    choose(anna)
    message = MessageFactory.create(owner=user, format=MessageFormat.HTML, body="<p>Hello</p>")
    mailing = due_mailing(user, message=message, track_opens=OpenTracking.PERSON)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id is not None
        send_slice(run_id, lambda _elapsed: False)
    html = {letter.to: letter.html for letter in smtp.letters}
    assert "/o/" in html[anna.email]
    assert "/o/" not in html[boris.email]
    assert "http" not in html[boris.email].replace("http://sky.example/u/", "")
    image_url = find_tracking_image(html[anna.email])
    assert visitor.get(image_url.removeprefix("http://sky.example"), headers=LOADED).mimetype == "image/gif"
    with app.app_context():
        fold_hits(utcnow())
    assert [opens for opens, _last in read_opens(session).values()] == [1]


def find_tracking_image(html: str) -> str:
    """Return the URL of the letter's tracking image."""
    images = BeautifulSoup(html, "html.parser").find_all("img")
    (source,) = [str(image["src"]) for image in images if "/o/" in str(image["src"])]
    return source


def test_a_merged_client_is_counted_only_if_the_kept_address_agreed(
    app: Flask, session: Session, user: User, choose: Choose
) -> None:
    kept, removed, angry = (ClientFactory.create(owner=user) for _client in range(3))
    choose(removed)
    with app.app_context():
        for other in removed, angry:
            pair = db.session.get_one(Client, kept.id), db.session.get_one(Client, other.id)
            merge_clients(*pair, utcnow(), Actor(None, "tests"))
            db.session.commit()
        assert not is_allowed(user.id, kept.email_key)
        save_choice(user.id, kept.email_key, True, NOW)
        # The link is in an old letter to an address that was merged into the kept one.
        save_choice(user.id, angry.email_key, False, NOW + timedelta(seconds=1))
        assert not is_allowed(user.id, kept.email_key)
        db.session.rollback()


@pytest.mark.one_engine
def test_the_owner_sees_opens_on_pages_and_in_the_export(
    session: Session,
    run: Run,
    letters: list[Delivery],
    choose: Choose,
    open_letter: Open,
    browser: FlaskClient,
) -> None:
    client = client_of(session, letters[0])
    choose(client)
    open_letter(letters[0], 0, 60)
    assert "Opened 1 only those who agreed are counted" in get_main_text(
        browser.get(f"/mailings/runs/{run.id}/clicks")
    )
    page = get_main_text(browser.get(f"/clients/{client.id}"))
    assert f"Opened the email {run.mailing.name} 2 times" in page
    assert "counting opens: allowed" in page
    with download_archive(browser) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("clicks.csv")]
        (row,) = csv.DictReader(io.StringIO(archive.read(name).decode("utf-8-sig")))
    assert (row["email"], row["opens"]) == (letters[0].email, "2")
    assert row["last_open"]


@pytest.mark.one_engine
def test_details_of_opens_are_removed_with_the_letters(
    app: Flask, session: Session, run: Run, letters: list[Delivery], choose: Choose, open_letter: Open
) -> None:
    choose(client_of(session, letters[0]))
    open_letter(letters[0])
    with app.app_context():
        remove_letters(run.id)
    assert read_opens(session) == {}
