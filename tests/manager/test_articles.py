"""Test articles in the panel, where content managers and administrators write them."""

import io
import re
from datetime import UTC, datetime, timedelta
from typing import IO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.blog.images import store_image
from skymailing.clock import utcnow
from skymailing.models import Article, AuditAction, AuditEntry, Role, User
from skymailing.web.slugs import make_slug
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, UserFactory

# Forms and pages do not depend on the database.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def author(session: Session) -> User:
    user: User = UserFactory.create(role=Role.CONTENT, timezone="Europe/Moscow")
    return user


@pytest.fixture
def panel(sign_in: SignIn, author: User) -> FlaskClient:
    """Return a browser in which a content manager is signed in."""
    return sign_in(author)


def make_fields(**values: object) -> dict[str, object]:
    return {"title": "Как писать письма", "format": "markdown", "body": "**Коротко**", **values}


def get_only_article(session: Session) -> Article:
    session.expire_all()
    return session.scalars(select(Article)).one()


def make_picture() -> tuple[io.BytesIO, str]:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    file.seek(0)
    return file, "teal.png"


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Как писать письма", "kak-pisat-pisma"),
        ("Съешь ещё этих мягких булок!", "sesh-eshche-etikh-miagkikh-bulok"),
        ("Crème brûlée & 10 tips", "creme-brulee-10-tips"),
        ("日本語", "article"),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_slug_is_made_from_the_title(title: str, slug: str) -> None:
    assert make_slug(title, "article") == slug


def test_a_draft_is_saved_then_published(
    session: Session, panel: FlaskClient, visitor: FlaskClient, author: User
) -> None:
    assert panel.post("/manager/articles/new", data=make_fields()).status_code == 302
    article = get_only_article(session)
    assert (article.slug, article.author_id, article.published_at) == ("kak-pisat-pisma", author.id, None)
    assert visitor.get("/blog/kak-pisat-pisma").status_code == 404
    assert "draft</span>" in panel.get("/manager/articles/").text

    panel.post(f"/manager/articles/{article.id}/edit", data=make_fields(slug=article.slug, publish="1"))
    assert "<strong>Коротко</strong>" in visitor.get("/blog/kak-pisat-pisma").text

    panel.post(f"/manager/articles/{article.id}/edit", data=make_fields(title="Новое", slug=article.slug))
    assert visitor.get("/blog/kak-pisat-pisma").status_code == 404, (
        "without a date, the article is a draft again"
    )
    panel.post(f"/manager/articles/{article.id}/delete")
    assert session.scalars(select(Article)).all() == []
    entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.action for entry in entries] == [
        AuditAction.ARTICLE_CREATED,
        AuditAction.ARTICLE_EDITED,
        AuditAction.ARTICLE_EDITED,
        AuditAction.ARTICLE_DELETED,
    ]
    assert {entry.actor_id for entry in entries} == {author.id}


def test_the_publication_date_is_in_the_authors_time_zone(session: Session, panel: FlaskClient) -> None:
    panel.post("/manager/articles/new", data=make_fields(published_at="2030-05-01T09:00"))
    article = get_only_article(session)
    assert article.published_at == datetime(2030, 5, 1, 6, 0, tzinfo=UTC)
    form = panel.get(f"/manager/articles/{article.id}/edit").text
    assert 'value="2030-05-01T09:00"' in form
    assert "scheduled" in panel.get("/manager/articles/").text


@pytest.mark.both_engines
def test_article_slugs_are_unique_and_valid(session: Session, panel: FlaskClient) -> None:
    for _ in range(2):
        panel.post("/manager/articles/new", data=make_fields())
    slugs = set(session.scalars(select(Article.slug)))
    assert slugs == {"kak-pisat-pisma", "kak-pisat-pisma-2"}
    for slug in ("kak-pisat-pisma", "Kak", "a--b", "../x", "a b"):
        response = panel.post("/manager/articles/new", data=make_fields(slug=slug))
        assert response.status_code == 200
        assert "is-invalid" in response.text
    assert len(session.scalars(select(Article)).all()) == 2


def test_an_image_needs_a_description_and_can_be_removed(session: Session, panel: FlaskClient) -> None:
    response = panel.post("/manager/articles/new", data=make_fields(image=make_picture()))
    assert "Describe the image in a few words" in response.text
    response = panel.post(
        "/manager/articles/new", data=make_fields(image=(io.BytesIO(b"<svg>"), "x.png"), image_alt="x")
    )
    assert "is-invalid" in response.text
    assert session.scalars(select(Article)).all() == []

    panel.post("/manager/articles/new", data=make_fields(image=make_picture(), image_alt="Бирюза"))
    article = get_only_article(session)
    name = article.image
    assert name.endswith("-64x48.jpg")
    path, unchanged = (
        f"/manager/articles/{article.id}/edit",
        make_fields(slug=article.slug, image_alt="Бирюза"),
    )
    panel.post(path, data={**unchanged, "image": (io.BytesIO(), "")})  # browsers send this for an empty field
    assert get_only_article(session).image == name
    panel.post(path, data={**unchanged, "remove_image": "y"})
    article = get_only_article(session)
    assert (article.image, article.image_alt) == ("", "")


@pytest.mark.both_engines
def test_a_stale_page_does_not_overwrite_a_newer_version(
    session: Session, panel: FlaskClient, sign_in: SignIn
) -> None:
    article = ArticleFactory.create(slug="first", title="Before")
    path = f"/manager/articles/{article.id}/edit"

    def read_hidden_fields(browser: FlaskClient) -> dict[str, str]:
        return {"seen": find_seen(browser.get(path).text), "slug": "first"}

    other = sign_in(UserFactory.create(role=Role.CONTENT))
    mine, theirs = read_hidden_fields(panel), read_hidden_fields(other)
    assert panel.post(path, data=make_fields(title="Mine", **mine)).status_code == 302
    response = other.post(path, data=make_fields(title="Theirs", **theirs))
    assert "Someone changed this article" in response.text
    assert 'value="Theirs"' in response.text, "the typed text is kept"
    assert get_only_article(session).title == "Mine"

    retry = make_fields(title="Theirs", slug="first", seen=find_seen(response.text))
    assert other.post(path, data=retry).status_code == 302
    assert get_only_article(session).title == "Theirs"
    panel.get("/blog/first")
    assert panel.post(path, data=make_fields(title="Mine", **read_hidden_fields(panel))).status_code == 302


@pytest.mark.both_engines
def test_an_article_deleted_during_an_upload_stays_deleted(
    session: Session, panel: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = ArticleFactory.create()

    def store_late(stream: IO[bytes]) -> str:
        session.delete(article)
        session.flush()
        return store_image(stream)

    monkeypatch.setattr("skymailing.manager.views.articles.store_image", store_late)
    data = make_fields(slug="first", image=make_picture(), image_alt="Teal")
    assert panel.post(f"/manager/articles/{article.id}/edit", data=data).status_code == 404


def find_seen(page: str) -> str:
    return page.partition('name="seen"')[2].partition('value="')[2].partition('"')[0]


def test_the_preview_saves_nothing_and_runs_no_scripts(session: Session, panel: FlaskClient) -> None:
    response = panel.post(
        "/manager/articles/preview",
        data={"title": "<i>", "format": "markdown", "body": "**bold** <script>alert(1)</script>"},
    )
    assert "<strong>bold</strong>" in response.text
    assert "<script" not in response.text
    assert "<h1>&lt;i&gt;</h1>" in response.text
    policy = response.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "img-src 'self';" in policy, "pictures that readers would not see are not shown"
    for invalid in ({}, {"body": "x", "format": "pdf"}):
        assert panel.post("/manager/articles/preview", data=invalid).status_code == 200
    assert session.scalars(select(Article)).all() == []


@pytest.mark.both_engines
def test_articles_are_listed_and_filtered(panel: FlaskClient) -> None:
    ArticleFactory.create(title="Общая")
    ArticleFactory.create(title="Будущая", published_at=utcnow() + timedelta(days=1))
    ArticleFactory.create(title="Черновик", published_at=None)

    def list_titles(**query: str) -> set[str]:
        page = panel.get("/manager/articles/", query_string=query).text
        return {title for title in ("Общая", "Будущая", "Черновик") if f">{title}</a>" in page}

    assert list_titles() == {"Общая", "Будущая", "Черновик"}
    assert list_titles(published="yes") == {"Общая"}
    assert list_titles(published="no") == {"Будущая", "Черновик"}
    assert list_titles(q="черн") == {"Черновик"}


@pytest.mark.both_engines
def test_the_latest_publication_is_listed_first(panel: FlaskClient) -> None:
    for days in (3, 9, 30, 60):  # the newest was added first
        ArticleFactory.create(title=f"{days} days", published_at=utcnow() - timedelta(days=days))
    ArticleFactory.create(title="0 days", published_at=None)
    page = panel.get("/manager/articles/").text
    assert re.findall(r">(\d+) days</a>", page) == ["0", "3", "9", "30", "60"]


def test_content_managers_see_only_articles(app: Flask, panel: FlaskClient) -> None:
    assert panel.get("/manager/").location == "/manager/articles/"
    page = panel.get("/manager/articles/").text
    for path in ("users", "mailings", "runs", "audit"):
        assert f"/manager/{path}/" not in page
        assert panel.get(f"/manager/{path}/").status_code == 403
