"""Test that the files of unused images are deleted."""

import io
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.blog.images import store_image
from skymailing.blog.unused_images import GRACE, delete_unused_images
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Article, Role
from skymailing.web.picture_files import article_directory, parse_name
from tests.conftest import SignIn
from tests.support.factories import ArticleFactory, UserFactory

BEFORE_GRACE, AFTER_GRACE = timedelta(minutes=59), GRACE + timedelta(minutes=1)


@pytest.fixture
def media(app: Flask, session: Session) -> Iterator[Path]:
    """Yield the image directory, which is empty before and after the test."""
    with app.app_context():
        directory = article_directory()
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    yield directory
    for path in directory.iterdir():
        path.unlink()


def make_png(color: str) -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (1000, 500), color).save(file, "PNG")
    file.seek(0)
    return file


def store(app: Flask, color: str) -> str:
    with app.app_context():
        return store_image(make_png(color))


def list_files(media: Path, name: str) -> set[str]:
    """Return the existing files of an image."""
    picture = parse_name(name)
    assert picture is not None
    return {path.name for path in media.iterdir() if path.name.startswith(picture.key)}


def sweep(app: Flask, media: Path, later: timedelta) -> int:
    (media / ".swept").unlink(missing_ok=True)
    with app.app_context():
        return delete_unused_images(utcnow() + later)


def test_images_that_are_no_longer_used_are_deleted(
    app: Flask, session: Session, media: Path, sign_in: SignIn
) -> None:
    author = sign_in(UserFactory.create(role=Role.CONTENT))

    def save(path: str, **values: object) -> Article:
        text = {"title": "T", "slug": "t", "format": "markdown", "body": "B", "image_alt": "A"}
        assert author.post(f"/manager/articles/{path}", data={**text, **values}).status_code == 302
        session.expire_all()
        return session.scalars(select(Article)).one()

    article = save("new", image=(make_png("red"), "red.png"))
    red = article.image
    blue = save(f"{article.id}/edit", image=(make_png("blue"), "blue.png")).image
    assert list_files(media, red)
    assert sweep(app, media, BEFORE_GRACE) == 0, "a request may still be about to commit"
    assert sweep(app, media, AFTER_GRACE) == 6, "three sizes of the image and of its visible part"
    assert list_files(media, red) == set()
    assert len(list_files(media, blue)) == 3

    save(f"{article.id}/edit", remove_image="y")
    sweep(app, media, AFTER_GRACE)
    assert list_files(media, blue) == set()

    green = save(f"{article.id}/edit", image=(make_png("green"), "green.png")).image
    author.post(f"/manager/articles/{article.id}/delete")
    assert len(list_files(media, green)) == 3
    sweep(app, media, AFTER_GRACE)
    assert list_files(media, green) == set()


def test_a_rolled_back_deletion_keeps_the_image(app: Flask, session: Session, media: Path) -> None:
    article = ArticleFactory.create(image=store(app, "red"))
    with app.app_context():
        db.session.delete(db.session.get_one(Article, article.id))
        db.session.flush()
        db.session.rollback()
    sweep(app, media, AFTER_GRACE)
    assert len(list_files(media, article.image)) == 3


def test_an_image_that_another_article_uses_is_kept(app: Flask, session: Session, media: Path) -> None:
    first, second = (ArticleFactory.create(image=store(app, "red")) for _ in range(2))
    assert first.image == second.image
    session.delete(first)
    session.flush()
    sweep(app, media, AFTER_GRACE)
    assert len(list_files(media, second.image)) == 3


def test_an_image_that_is_uploaded_again_is_kept(app: Flask, session: Session, media: Path) -> None:
    name = store(app, "red")
    for path in media.iterdir():
        os.utime(path, (0, 0))
    assert store(app, "red") == name
    assert sweep(app, media, BEFORE_GRACE) == 0
    assert len(list_files(media, name)) == 3


def test_unfinished_images_are_deleted_and_other_files_are_kept(
    app: Flask, session: Session, media: Path
) -> None:
    for name in (".new-half", "notes.txt"):
        (media / name).write_text("x")
    assert sweep(app, media, AFTER_GRACE) == 1
    assert (media / "notes.txt").exists()


def test_the_sweep_checks_once_an_hour(app: Flask, session: Session, media: Path) -> None:
    now = utcnow()

    def run_sweep(at: datetime) -> None:
        with app.app_context():
            jobs.run_sweep(at)

    run_sweep(now)
    name = store(app, "red")
    for file in list_files(media, name):
        os.utime(media / file, (0, 0))
    run_sweep(now + BEFORE_GRACE)
    assert list_files(media, name)
    run_sweep(now + AFTER_GRACE)
    assert list_files(media, name) == set()


def test_a_file_that_cannot_be_deleted_does_not_stop_the_sweep(
    app: Flask, session: Session, media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = media / f"{'0' * 32}-9x9.jpg"
    folder.mkdir()  # deleting it as a file raises OSError
    assert sweep(app, media, AFTER_GRACE) == 0
    assert "could not be deleted" in caplog.text
    folder.rmdir()
