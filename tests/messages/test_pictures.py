"""Test pictures in letters: how they are stored, who can load them, and when they are deleted."""

import io
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.messages import unused_pictures
from skymailing.messages.unused import GRACE, PAUSE
from skymailing.models import MessagePicture, User
from skymailing.web import images
from skymailing.web.picture_files import letter_directory
from tests.conftest import SetLimits
from tests.support.archives import ArchiveEntryFactory
from tests.support.factories import MailingFactory, MessageDraftFactory, MessageFactory, RunFactory

# Pictures are stored as files.
pytestmark = pytest.mark.one_engine

LATER = GRACE + timedelta(hours=1)


@pytest.fixture(autouse=True)
def folder(app: Flask) -> Path:
    """Return the picture folder, which is empty at first."""
    with app.app_context():
        directory = letter_directory()
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    return directory


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def upload(browser: FlaskClient, image: Image.Image | None = None) -> str:
    """Upload a picture; return its file name."""
    file = encode(image or Image.new("RGB", (40, 30), "teal"))
    response = browser.post("/messages/pictures", data={"picture": (file, "x.png")})
    assert response.status_code == 200, response.text
    assert response.json
    url: str = response.json["url"]
    assert url.startswith("http://sky.example/messages/pictures/")
    return url.rpartition("/")[2]


def test_a_picture_is_re_encoded_and_public(browser: FlaskClient, visitor: FlaskClient, folder: Path) -> None:
    photo = Image.new("RGB", (3000, 1500), "teal")
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    response = browser.post(
        "/messages/pictures", data={"picture": (encode(photo, "JPEG", exif=exif), "../evil.html")}
    )
    assert response.json
    assert response.json["width"] == 1200, "twice the width of a letter"
    assert response.json["shown"] == 520

    with visitor.get(response.json["url"].removeprefix("http://sky.example")) as loaded:
        data = loaded.data

    assert loaded.mimetype == "image/jpeg"
    assert "immutable" in loaded.headers["Cache-Control"]
    assert "public" in loaded.headers["Cache-Control"]
    assert loaded.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Set-Cookie" not in loaded.headers
    assert Image.open(io.BytesIO(data)).size == (1200, 600)
    assert b"where I live" not in data


def test_a_pictures_url_cannot_be_guessed(browser: FlaskClient, visitor: FlaskClient) -> None:
    first, second = upload(browser), upload(browser)

    assert first.split("-")[0] != second.split("-")[0]
    assert visitor.get("/messages/pictures/" + "0" * 32 + "-40x30.jpg").status_code == 404
    assert visitor.get("/messages/pictures/..%2f.swept").status_code == 404


@pytest.mark.parametrize(
    ("color", "kind"),
    [((0, 128, 128, 120), "png"), ((0, 128, 128, 255), "jpg")],
    ids=["transparent", "opaque"],
)
def test_pictures_have_a_format_that_every_mail_program_supports(
    browser: FlaskClient, color: tuple[int, int, int, int], kind: str
) -> None:
    assert upload(browser, Image.new("RGBA", (40, 30), color)).endswith(f"-40x30.{kind}")


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"GIF89a", b""])
def test_a_file_that_is_not_a_picture_is_rejected_with_a_reason(browser: FlaskClient, content: bytes) -> None:
    response = browser.post("/messages/pictures", data={"picture": (io.BytesIO(content), "x.png")})

    assert response.status_code == 422
    assert response.json
    assert "JPEG, PNG or WebP" in response.json["problem"]
    assert browser.post("/messages/pictures").status_code == 422


@pytest.mark.both_engines
def test_the_number_of_pictures_is_limited(browser: FlaskClient, set_limits: SetLimits) -> None:
    set_limits(pictures=1)
    upload(browser)

    response = browser.post(
        "/messages/pictures", data={"picture": (encode(Image.new("RGB", (40, 30))), "x.png")}
    )

    assert response.status_code == 422
    assert "no space" in response.text


@pytest.mark.both_engines
def test_unused_pictures_are_deleted(
    app: Flask, session: Session, browser: FlaskClient, user: User, folder: Path
) -> None:
    in_message, in_draft, in_run, in_archive, in_deleted, unused, foreign = (
        upload(browser) for _ in range(7)
    )
    tag = '<img src="http://sky.example/messages/pictures/{}">'
    MessageFactory.create(body=tag.format(foreign))
    MessageFactory.create(owner=user, body=tag.format(in_message))
    MessageDraftFactory.create(owner_id=user.id, body=tag.format(in_draft))
    RunFactory.create(mailing=MailingFactory.create(owner=user), body=tag.format(in_run))
    published = RunFactory.create(mailing=MailingFactory.create(owner=user), body="")
    ArchiveEntryFactory.create(run=published, html=tag.format(in_archive))
    deleted = MessageFactory.create(owner=user, body=tag.format(in_deleted))
    browser.post(f"/messages/{deleted.id}/delete")

    def sweep(later: timedelta) -> set[str]:
        with app.app_context():
            unused_pictures.delete_unused(utcnow() + later)
        names = set(session.scalars(select(MessagePicture.name)))
        assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == names
        return names

    everything = {in_message, in_draft, in_run, in_archive, in_deleted, unused, foreign}
    assert sweep(PAUSE + timedelta(hours=1)) == everything, "an undo may restore the message"
    assert sweep(LATER) == everything - {unused, foreign}


@pytest.mark.both_engines
def test_files_without_a_row_are_deleted(
    app: Flask, session: Session, browser: FlaskClient, folder: Path
) -> None:
    stored, orphaned = upload(browser), upload(browser)
    session.execute(delete(MessagePicture).where(MessagePicture.name == orphaned))
    session.execute(update(MessagePicture).values(looked_at=utcnow() + LATER))
    (folder / ".new-half").touch()
    (folder / "note.txt").touch()
    old = (utcnow() - LATER).timestamp()
    for path in folder.iterdir():
        os.utime(path, (old, old))

    with app.app_context():
        jobs.run_sweep(utcnow())

    assert {path.name for path in folder.iterdir()} == {stored, "note.txt", ".lock", ".swept"}


def test_a_picture_that_needs_too_much_memory_is_rejected(browser: FlaskClient) -> None:
    tiny_file = encode(Image.new("RGB", (6300, 6300), "teal"), "WEBP", quality=1, method=0)
    response = browser.post("/messages/pictures", data={"picture": (tiny_file, "x.webp")})
    assert response.status_code == 422
    assert "more than 16 million pixels" in response.text


def test_a_photo_with_more_pixels_is_decoded_near_its_final_size(browser: FlaskClient) -> None:
    photo = encode(Image.new("L", (5000, 5000)), "JPEG", quality=1)
    assert browser.post("/messages/pictures", data={"picture": (photo, "x.jpg")}).status_code == 200


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_decoding_needs_a_bounded_amount_of_memory(app: Flask, mode: str, tmp_path: Path) -> None:
    file = tmp_path / "x.webp"
    Image.new(mode, (4000, 4000), "teal").save(file, "WEBP", quality=1, method=0)
    script = """
import resource, sys
from flask import Flask
from skymailing.web.images import decode
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
app, before = Flask("x"), peak()
app.config["DATA_DIR"] = sys.argv[2]
with app.app_context(), decode(open(sys.argv[1], "rb").read(), 1200):
    print(peak() - before)
"""
    used = subprocess.run(
        [sys.executable, "-c", script, file, tmp_path], check=True, capture_output=True, text=True
    )
    assert int(used.stdout) < 300  # MB


def test_an_upload_is_rejected_if_other_uploads_are_decoded_for_too_long(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "DECODING_WAIT", 0.1)
    with app.app_context(), images.decode(encode(Image.new("RGB", (40, 30))).read(), 100):
        response = browser.post(
            "/messages/pictures", data={"picture": (encode(Image.new("RGB", (40, 30))), "x.png")}
        )
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert response.json == {"problem": "Other images are being processed. Try again in a few seconds."}
    upload(browser)


def test_a_photo_with_thousands_of_scans_is_rejected_before_it_is_decoded(browser: FlaskClient) -> None:
    photo = encode(Image.new("L", (2000, 2000)), "JPEG", progressive=True).read()
    last = photo.rindex(b"\xff\xda")
    scan = photo[last : photo.rindex(b"\xff\xd9")]
    bomb = io.BytesIO(photo[:last] + scan * 1000 + b"\xff\xd9")
    response = browser.post("/messages/pictures", data={"picture": (bomb, "x.jpg")})
    assert response.status_code == 422
