"""The archive of everything that somebody owns."""

import csv
import io
import json
import zipfile

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.auth import export_queries
from skymailing.models import AuditAction, AuditEntry, User
from tests.auth.belongings import furnish, under_way
from tests.support.factories import UserFactory


def archive_of(browser: FlaskClient) -> zipfile.ZipFile:
    answer = browser.get("/auth/profile/export.zip")
    assert answer.status_code == 200
    assert answer.mimetype == "application/zip"
    assert answer.headers["Cache-Control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    return archive


def table(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))


def test_it_holds_everything_of_ones_own_and_nothing_else(
    session: Session, user: User, browser: FlaskClient
) -> None:
    other = UserFactory.create()
    mailing = furnish(session, user)
    under_way(user)
    furnish(session, other)
    archive = archive_of(browser)

    readme = archive.read("readme.txt").decode()
    assert set(archive.namelist()) == {"readme.txt"} | {
        line.split()[0] for line in readme.splitlines() if ".csv " in line or ".json " in line
    }
    assert json.loads(archive.read("profile.json"))["email"] == user.email
    clients = table(archive, "clients.csv")
    assert len(clients) == 9
    assert clients[0]["city"] == "Тула"
    assert clients[0]["comment"] == "'=1+1"  # no spreadsheet runs it
    assert [row["email"] for row in table(archive, "never-mailed.csv")] == ["gone@example.org"]
    assert {row["mailing_id"] for row in table(archive, "mailing-clients.csv")} == {str(mailing.id)}
    assert len(json.loads(archive.read("messages.json"))) == 2
    assert json.loads(archive.read("mailings.json"))[0]["name"] == "Осень"
    runs = json.loads(archive.read("runs.json"))
    assert (runs[0]["body"], runs[0]["planned"], runs[0]["letters"]["sent"]) == ("Привет", 3, 3)
    letters = table(archive, "letters.csv")
    assert len(letters) == 9
    assert {row["state"] for row in letters} == {"sent", "pending", "deferred"}
    assert [row["answer"] for row in table(archive, "log.csv")] == ["2.0.0 queued"] * 3
    assert [row["file"] for row in table(archive, "imports.csv")] == ["a.csv"]
    assert len(json.loads(archive.read("articles.json"))) == 1
    assert [row["letter"] for row in table(archive, "account-letters.csv")] == ["verify-address"]

    everything = "".join(archive.read(name).decode() for name in archive.namelist())
    assert other.email not in everything
    assert user.password_hash not in everything


def test_staff_stays_unnamed_in_it(session: Session, user: User, browser: FlaskClient) -> None:
    furnish(session, user)
    archive = archive_of(browser)

    lines = {row["action"]: row for row in table(archive, "audit.csv")}
    assert (lines["user-blocked"]["by"], lines["user-blocked"]["network_address"]) == ("SkyMailing", "")
    assert lines["user-blocked"]["reason"] == "spam"
    assert lines["client-deleted"]["network_address"] == "192.0.2.7"
    assert "manager@sky.example" not in archive.read("audit.csv").decode()


def test_taking_it_is_written_down_and_an_empty_account_has_one_too(
    session: Session, user: User, browser: FlaskClient
) -> None:
    archive = archive_of(browser)

    assert json.loads(archive.read("messages.json")) == []
    actions = session.scalars(select(AuditEntry.action).where(AuditEntry.actor_id == user.id)).all()
    assert actions == [AuditAction.ACCOUNT_EXPORTED]


def test_it_is_read_in_chunks_and_loses_none(
    session: Session, user: User, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_queries, "CHUNK", 2)
    furnish(session, user)
    under_way(user)
    archive = archive_of(browser)
    assert len(table(archive, "letters.csv")) == 9
    assert len(table(archive, "mailing-clients.csv")) == 3
    assert len(json.loads(archive.read("runs.json"))) == 2
