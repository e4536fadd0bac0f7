"""Test drafts of articles, and the other requests of the article editor."""

import io
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.blog.unused_images import GRACE, delete_unused_images
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.manager import article_drafts
from skymailing.models import Article, ArticleDraft, Role, User
from skymailing.web.picture_files import article_directory
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, UserFactory

PANEL = "/manager/articles"


@pytest.fixture
def author(session: Session) -> User:
    user: User = UserFactory.create(role=Role.CONTENT, timezone="Europe/Moscow")
    return user


@pytest.fixture
def panel(sign_in: SignIn, author: User) -> FlaskClient:
    return sign_in(author)


def find_field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)
    return found[1] if found else ""


def list_drafts(session: Session) -> list[ArticleDraft]:
    session.expire_all()
    return list(session.scalars(select(ArticleDraft)))


def test_a_draft_of_a_new_article_is_kept_until_the_article_is_saved(
    session: Session, panel: FlaskClient
) -> None:
    typed = {"title": "Черновик", "body": "Нач\0ало", "format": "html", "published_at": "2030-05-01T09:00"}
    saved = panel.post(f"{PANEL}/drafts", data=typed).get_json()
    assert saved["revision"] == 1
    page = panel.get(f"{PANEL}/").text
    assert f'href="{PANEL}/new?draft={saved["draft"]}"' in page
    assert "Черновик" in page

    again = panel.post(f"{PANEL}/drafts/{saved['draft']}", data={**typed, "revision": "1", "body": "Конец"})
    assert again.get_json()["revision"] == 2
    page = panel.get(f"{PANEL}/new?draft={saved['draft']}").text
    assert "Конец</textarea>" in page
    assert find_field(page, "published_at") == "2030-05-01T09:00"
    assert session.scalars(select(Article)).all() == []

    panel.post(f"{PANEL}/new", data={**typed, "draft": str(saved["draft"])})
    assert session.scalars(select(Article)).one().body == "Начало"
    assert list_drafts(session) == []
    response = panel.get(f"{PANEL}/new?draft={saved['draft']}")
    assert response.location == f"{PANEL}/"


def test_readers_do_not_see_unsaved_changes(
    session: Session, panel: FlaskClient, visitor: FlaskClient
) -> None:
    article = ArticleFactory.create(slug="first", body="Before")
    path = f"{PANEL}/{article.id}"
    seen = find_field(panel.get(f"{path}/edit").text, "seen")
    panel.post(f"{path}/draft", data={"title": "New", "body": "After", "format": "markdown", "seen": seen})

    page = panel.get(f"{path}/edit").text
    assert "After</textarea>" in page
    assert find_field(page, "seen") == seen
    assert "Before</textarea>" in panel.get(f"{path}/edit?saved=1").text
    assert "Before" in visitor.get("/blog/first").text


def test_two_windows_notice_each_other(panel: FlaskClient) -> None:
    article = ArticleFactory.create()
    path = f"{PANEL}/{article.id}/draft"
    fields = {"title": "One", "body": "1", "format": "markdown"}
    first = panel.post(path, data=fields).get_json()

    second = panel.post(path, data=fields)
    assert (second.status_code, second.get_json()) == (409, {"reason": "elsewhere", "draft": first["draft"]})
    draft = f"{PANEL}/drafts/{first['draft']}"
    assert panel.post(draft, data={**fields, "revision": "1"}).status_code == 200
    assert panel.post(draft, data={**fields, "revision": "1"}).status_code == 409
    assert panel.post(draft, data={**fields, "force": "1"}).get_json()["revision"] == 3


def test_a_draft_of_an_older_version_is_refused(panel: FlaskClient) -> None:
    article = ArticleFactory.create()
    stale = {"title": "One", "body": "1", "format": "markdown", "seen": "2020-01-01T00:00:00+00:00"}
    response = panel.post(f"{PANEL}/{article.id}/draft", data=stale)
    assert (response.status_code, response.get_json()) == (409, {"reason": "changed"})


def test_each_author_has_their_own_draft(session: Session, panel: FlaskClient, sign_in: SignIn) -> None:
    article = ArticleFactory.create(body="Saved")
    fields = {"title": "One", "body": "Mine", "format": "markdown"}
    draft = panel.post(f"{PANEL}/{article.id}/draft", data=fields).get_json()["draft"]
    colleague = sign_in(UserFactory.create(role=Role.CONTENT))
    assert "Saved</textarea>" in colleague.get(f"{PANEL}/{article.id}/edit").text
    assert colleague.post(f"{PANEL}/drafts/{draft}", data={**fields, "force": "1"}).status_code == 404
    assert colleague.post(f"{PANEL}/{article.id}/draft", data=fields).status_code == 200


def test_a_discarded_draft_can_be_restored_unless_there_is_a_newer_one(
    session: Session, panel: FlaskClient
) -> None:
    article = ArticleFactory.create(body="Saved")
    fields = {"title": "One", "body": "Typed", "format": "markdown"}
    saved = panel.post(f"{PANEL}/{article.id}/draft", data=fields).get_json()
    panel.post(saved["discard"])
    assert "Saved</textarea>" in panel.get(f"{PANEL}/{article.id}/edit").text
    restore = f"{PANEL}/drafts/{saved['draft']}/restore"
    panel.post(restore)
    assert "Typed</textarea>" in panel.get(f"{PANEL}/{article.id}/edit").text

    panel.post(saved["discard"])
    panel.post(f"{PANEL}/{article.id}/draft", data={**fields, "body": "Newer"})
    assert "has a newer draft" in panel.post(restore, follow_redirects=True).text
    assert "Newer</textarea>" in panel.get(f"{PANEL}/{article.id}/edit").text


def test_the_number_of_drafts_is_limited(
    session: Session, panel: FlaskClient, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(article_drafts, "MAX_DRAFTS", 2)
    responses = [panel.post(f"{PANEL}/drafts", data={"title": "T"}) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 409]
    assert responses[-1].get_json() == {"reason": "full"}


def test_expired_drafts_are_deleted(app: Flask, session: Session, author: User) -> None:
    now = utcnow()

    def add(saved: timedelta, discarded: timedelta | None = None) -> int:
        draft = ArticleDraft(author_id=author.id, fields={}, saved_at=now - saved)
        draft.discarded_at = now - discarded if discarded else None
        session.add(draft)
        session.flush()
        return draft.id

    add(article_drafts.RETENTION + timedelta(hours=1))
    add(timedelta(days=3), article_drafts.DISCARDED_RETENTION + timedelta(hours=1))
    kept = {add(timedelta(days=3)), add(timedelta(days=3), timedelta(days=1))}
    session.commit()
    with app.app_context():
        article_drafts.delete_expired(now)
        db.session.commit()
    assert {draft.id for draft in list_drafts(session)} == kept


def test_an_image_in_a_text_is_kept_while_a_draft_or_an_article_shows_it(
    app: Flask, session: Session, panel: FlaskClient
) -> None:
    def sweep_and_find() -> bool:
        with app.app_context():
            (article_directory() / ".swept").unlink(missing_ok=True)
            delete_unused_images(utcnow() + GRACE + timedelta(minutes=1))
            return bool((article_directory() / name).exists())

    file = io.BytesIO()
    Image.new("RGB", (900, 300), "teal").save(file, "PNG")
    file.seek(0)
    stored = panel.post(f"{PANEL}/pictures", data={"picture": (file, "a.png")}).get_json()
    name = stored["url"].rpartition("/")[2]
    assert (stored["width"], stored["shown"]) == (900, 672)
    text = {"title": "T", "format": "markdown", "body": f"![A]({stored['url']})"}
    draft = panel.post(f"{PANEL}/drafts", data=text).get_json()["draft"]
    assert sweep_and_find()
    panel.post(f"{PANEL}/new", data={**text, "draft": str(draft)})
    assert list_drafts(session) == []
    assert sweep_and_find()
    article = session.scalars(select(Article)).one()
    assert f'src="{stored["url"]}"' in panel.get(f"/blog/{article.slug}").text
    panel.post(f"{PANEL}/{article.id}/edit", data={**text, "body": "No image", "slug": article.slug})
    assert not sweep_and_find()


@pytest.mark.parametrize(
    ("old", "new", "body", "expected"),
    [
        ("markdown", "html", "# A\n\n**b**", "<h1>A</h1>\n<p><strong>b</strong></p>\n"),
        ("text", "html", "a < b\nc\n\nd", "<p>a &lt; b<br>c</p>\n<p>d</p>"),
        ("html", "markdown", "<p>One</p><p>two</p>", "One\n\ntwo\n"),
        ("markdown", "text", "**b**", "**b**"),
    ],
)
def test_a_text_is_converted_between_formats(
    panel: FlaskClient, old: str, new: str, body: str, expected: str
) -> None:
    response = panel.post(f"{PANEL}/convert", data={"format": old, "to": new, "body": body})
    assert response.get_json() == {"body": expected}
    assert panel.post(f"{PANEL}/convert", data={"format": old, "to": "pdf", "body": body}).status_code == 400


def test_opening_and_saving_an_article_changes_nothing_in_its_text(
    session: Session, panel: FlaskClient
) -> None:
    body = "<h4>Old</h4>\r\n<table><tr><td>cell</td></tr></table>\r\n{{ name }}"
    article = ArticleFactory.create(slug="old", format="html", body=body, language="")
    page = panel.get(f"{PANEL}/{article.id}/edit").text
    fields = {name: find_field(page, name) for name in ("title", "slug", "seen")}
    panel.post(
        f"{PANEL}/{article.id}/edit", data={**fields, "format": "html", "body": body, "language": "ru"}
    )
    session.expire_all()
    assert (article.body, article.language) == (body, "ru")
