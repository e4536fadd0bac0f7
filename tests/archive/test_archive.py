"""Publish letters, and read them as a visitor."""

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.archive import services
from skymailing.clock import utcnow
from skymailing.models import Archive, ArchiveEntry, MessageFormat, Role, Run, RunState, User
from tests.archive.letters import create_sent_run, publish, send_letter
from tests.conftest import SignIn
from tests.mailings.pages import get_field_error, get_main_text
from tests.security.test_headers import expect_sandboxed_page
from tests.support.archives import ArchiveFactory
from tests.support.factories import RunFactory, UserFactory

pytestmark = pytest.mark.one_engine

ATOM = "{http://www.w3.org/2005/Atom}"


def find_entry(session: Session, run: Run) -> ArchiveEntry:
    chosen = select(ArchiveEntry).where(ArchiveEntry.run_id == run.id)
    return session.scalars(chosen.execution_options(populate_existing=True)).one()


@pytest.mark.both_engines
def test_a_mailing_is_published_without_its_clients_data(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    delivery = send_letter(
        shop,
        "Hello, {{ name }}!\n\nNew **teas** from {{ sender_name }}.",
        subject="Весенние новинки, {{ name }}",
        client={"full_name": "Anna"},
    )
    run = delivery.run
    assert visitor.get("/archive/tea-shop/").status_code == 404
    page = get_main_text(owner.get(f"/mailings/{run.mailing_id}"))
    assert "Publish this email" in page
    shown = owner.get(f"/mailings/archive/runs/{run.id}/letter").text
    assert "Hello!" in shown
    assert "Anna" not in shown

    assert publish(owner, run).headers["Location"] == "/mailings/archive/"

    listed = visitor.get("/archive/tea-shop/")
    assert "Tea Shop" in listed.text
    assert "Весенние новинки" in get_main_text(listed)
    link = BeautifulSoup(listed.text, "html.parser").select_one(".archive-list a")
    assert link
    assert link["href"] == "/archive/tea-shop/vesennie-novinki"
    letter = visitor.get("/archive/tea-shop/vesennie-novinki")
    assert letter.status_code == 200
    expect_sandboxed_page(letter)
    for text in ("Hello!", "<strong>teas</strong>", "Мастерская", "All emails from Tea Shop"):
        assert text in letter.text
    for text in ("Anna", delivery.email, "/u/", "/v/", "nsubscribe"):
        assert text not in letter.text


@pytest.mark.both_engines
def test_a_published_letter_can_be_removed_and_published_again(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    run = create_sent_run(shop, "Hello!", subject="Весенние новинки")
    publish(owner, run)
    assert "Anyone can read the last email" in get_main_text(owner.get(f"/mailings/{run.mailing_id}"))
    assert "Весенние новинки" in get_main_text(owner.get("/mailings/archive/"))
    assert "Published" in get_main_text(owner.get(f"/mailings/runs/{run.id}"))
    assert visitor.get("/archive/tea-shop/vesennie-novinki").status_code == 200

    entry = find_entry(session, run)
    assert owner.post(f"/mailings/archive/{entry.id}/unpublish").headers["Location"] == "/mailings/archive/"

    for path in ("/archive/tea-shop/", "/archive/tea-shop/feed.xml", "/archive/tea-shop/vesennie-novinki"):
        assert visitor.get(path).status_code == 404, path
    assert "Nothing published yet" in get_main_text(owner.get("/mailings/archive/"))
    publish(owner, run)
    assert visitor.get("/archive/tea-shop/vesennie-novinki").status_code == 200


def test_every_run_of_a_mailing_is_a_separate_entry(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    first = create_sent_run(shop, "First")
    second = RunFactory.create(
        mailing=first.mailing,
        scheduled_for=first.scheduled_for + timedelta(days=7),
        subject="News",
        body="Second",
        format=MessageFormat.MARKDOWN,
    )
    for run in (first, second, second):  # published twice: the second time changes nothing
        publish(owner, run)
    assert [find_entry(session, run).slug for run in (first, second)] == ["news", "news-2"]
    assert "First" in visitor.get("/archive/tea-shop/news").text
    assert "Second" in visitor.get("/archive/tea-shop/news-2").text
    links = BeautifulSoup(visitor.get("/archive/tea-shop/").text, "html.parser").select(".archive-list a")
    assert [link["href"] for link in links] == ["/archive/tea-shop/news-2", "/archive/tea-shop/news"]


def test_the_slug_can_be_chosen_and_changed(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    one, two = create_sent_run(shop, "One"), create_sent_run(shop, "Two")
    publish(owner, one, slug="spring")
    for slug, error in (
        ("spring", "already taken"),
        ("Весна", "lowercase Latin"),
        ("a--b", "lowercase Latin"),
        ("../x", "lowercase Latin"),
        ("feed.xml", "lowercase Latin"),
        ("x" * 121, "longer than 120"),
    ):
        response = publish(owner, two, slug=slug)
        assert response.status_code == 200
        assert error in get_field_error(response, "slug")
    publish(owner, two, slug="summer")
    publish(owner, two, slug="autumn")
    assert find_entry(session, two).slug == "autumn"
    assert visitor.get("/archive/tea-shop/summer").status_code == 404
    assert "Two" in visitor.get("/archive/tea-shop/autumn").text


def test_the_archive_can_move_to_a_free_slug(
    session: Session, shop: User, owner: FlaskClient, visitor: FlaskClient
) -> None:
    assert owner.get("/mailings/archive/address").status_code == 302, "there is no archive yet"
    ArchiveFactory.create(slug="taken")
    publish(owner, create_sent_run(shop, "Hello"))
    path = "/mailings/archive/address"
    assert "already taken" in get_field_error(owner.post(path, data={"slug": "taken"}), "slug")
    assert "lowercase" in get_field_error(owner.post(path, data={"slug": "A b"}), "slug")
    assert owner.post(path, data={"slug": "tea"}).status_code == 302
    assert visitor.get("/archive/tea/").status_code == 200
    assert visitor.get("/archive/tea-shop/").status_code == 404
    assert visitor.get("/archive/tea-shop/news").status_code == 404


def test_owners_with_the_same_name_get_different_slugs(
    session: Session, sign_in: SignIn, visitor: FlaskClient
) -> None:
    for slug in ("chai", "chai-2", "chai-3"):
        user = UserFactory.create(name="Чай")
        publish(sign_in(user), create_sent_run(user, f"From {slug}"))
        assert f"From {slug}" in visitor.get(f"/archive/{slug}/news").text
    user = UserFactory.create(name="茶")
    publish(sign_in(user), create_sent_run(user, "Tea"))
    assert visitor.get(f"/archive/archive-{user.id}/news").status_code == 200


# --- What cannot be published, and who cannot publish ------------------------------------------------


def test_some_runs_cannot_be_published(session: Session, shop: User, owner: FlaskClient) -> None:
    disabled = create_sent_run(shop, "a")
    disabled.mailing.disabled_at = utcnow()
    skipped = create_sent_run(shop, "b", state=RunState.SKIPPED)
    removed = create_sent_run(shop, "", details_removed_at=utcnow())
    session.flush()
    for run, reason in ((disabled, "disabled"), (skipped, "skipped"), (removed, "has been removed")):
        path = f"/mailings/archive/runs/{run.id}"
        for response in (owner.get(path), owner.post(path), owner.get(f"{path}/letter")):
            assert response.status_code == 200
            assert reason in response.text
        assert f"/mailings/archive/runs/{run.id}" not in owner.get(f"/mailings/{run.mailing_id}").text
    assert session.scalars(select(ArchiveEntry)).all() == []


def test_a_letter_that_cannot_be_rendered_is_rejected(shop: User, owner: FlaskClient) -> None:
    run = create_sent_run(shop, "{% for i in (1..9000) %}{% for j in (1..9000) %}x{% endfor %}{% endfor %}")
    response = publish(owner, run)
    assert response.status_code == 200
    assert "too expensive" in get_main_text(response)


def test_a_letter_that_is_too_long_is_rejected(shop: User, owner: FlaskClient) -> None:
    """The styles are inlined into each paragraph."""
    style = f"<style>p {{ font-family: {'x' * 200} }}</style>"
    run = create_sent_run(shop, f"{style}{'<p>a</p>' * 4_000}", format=MessageFormat.HTML)
    assert "too long" in get_main_text(publish(owner, run))


def test_the_number_of_published_letters_is_limited(
    session: Session, shop: User, owner: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_ENTRIES", 1)
    first, second = create_sent_run(shop, "a"), create_sent_run(shop, "b")
    publish(owner, first)
    assert "up to 1 emails" in get_main_text(publish(owner, second))
    publish(owner, first, slug="changed")
    assert find_entry(session, first).slug == "changed"


def test_a_hostile_owner_name_is_escaped(session: Session, sign_in: SignIn, visitor: FlaskClient) -> None:
    user = UserFactory.create(name='"><script>steal()</script>\x0b&')
    publish(sign_in(user), create_sent_run(user, "x", subject="<b>A & B</b> ]]> \x0b\ufffe\U0001f600"))
    archive = session.scalars(select(Archive.slug)).one()
    for path in (f"/archive/{archive}/", f"/archive/{archive}/b-a-b-b"):
        page = visitor.get(path).text
        assert "<script>steal" not in page
        assert "<b>A" not in page
    entry = ElementTree.fromstring(visitor.get(f"/archive/{archive}/feed.xml").data).find(ATOM + "entry")
    assert entry is not None
    assert entry.findtext(ATOM + "title") == "<b>A & B</b> ]]> \U0001f600"


def test_managers_see_what_a_mailing_has_published(
    session: Session, shop: User, owner: FlaskClient, sign_in: SignIn
) -> None:
    run = create_sent_run(shop, "text", subject="Prizes")
    publish(owner, run)
    manager = sign_in(UserFactory.create(role=Role.MANAGER))
    page = manager.get(f"/manager/mailings/{run.mailing_id}/").text
    assert '<a href="/archive/tea-shop/prizes">Prizes</a>' in page
