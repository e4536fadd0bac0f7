"""Export all data of an account as an archive."""

import csv
import io
import json
import zipfile

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.auth.export import rows
from skymailing.models import ApiKey, AuditAction, AuditEntry, User
from tests.auth.account_data import create_account_data, create_sending_run
from tests.support.factories import UserFactory


def download_archive(browser: FlaskClient) -> zipfile.ZipFile:
    response = browser.get("/auth/profile/export.zip")
    assert response.status_code == 200
    assert response.mimetype == "application/zip"
    assert response.headers["Cache-Control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(response.data))
    assert archive.testzip() is None
    return archive


def read_table(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))


def test_the_archive_contains_all_of_the_users_data_and_nothing_else(
    session: Session, user: User, browser: FlaskClient
) -> None:
    other = UserFactory.create()
    mailing = create_account_data(session, user)
    create_sending_run(user)
    create_account_data(session, other)
    archive = download_archive(browser)

    readme = archive.read("readme.txt").decode()
    assert {name for name in archive.namelist() if "/" not in name} == {"readme.txt"} | {
        line.split()[0] for line in readme.splitlines() if ".csv " in line or ".json " in line
    }
    assert json.loads(archive.read("profile.json"))["email"] == user.email
    clients = read_table(archive, "clients.csv")
    assert len(clients) == 9
    assert clients[0]["city"] == "Тула"
    assert clients[0]["tags"] == "vip"
    assert [row["tag"] for row in read_table(archive, "tags.csv")] == ["vip", "unused"]
    assert clients[0]["comment"] == "'=1+1"  # escaped, so that spreadsheets do not evaluate it
    assert [row["email"] for row in read_table(archive, "never-mailed.csv")] == ["gone@example.org"]
    assert [row["text"] for row in read_table(archive, "consents.csv")] == ["Asked in the shop"]
    assert {row["mailing_id"] for row in read_table(archive, "mailing-clients.csv")} == {str(mailing.id)}
    assert len(json.loads(archive.read("messages.json"))) == 2
    (segment,) = json.loads(archive.read("segments.json"))
    assert (segment["name"], segment["conditions"]["value"]) == ("Tula", "vip")
    assert json.loads(archive.read("mailings.json"))[0]["name"] == "Осень"
    runs = json.loads(archive.read("runs.json"))
    assert (runs[0]["body"], runs[0]["planned"], runs[0]["letters"]["sent"]) == ("Привет", 3, 3)
    letters = read_table(archive, "letters.csv")
    assert len(letters) == 9
    assert {row["state"] for row in letters} == {"sent", "pending", "deferred"}
    assert [row["answer"] for row in read_table(archive, "log.csv")] == ["2.0.0 queued"] * 3
    assert [row["file"] for row in read_table(archive, "imports.csv")] == ["a.csv"]
    assert len(json.loads(archive.read("articles.json"))) == 1
    assert [row["letter"] for row in read_table(archive, "account-letters.csv")] == ["verify-address"]

    everything = "".join(archive.read(name).decode() for name in archive.namelist())
    assert other.email not in everything
    assert user.password_hash not in everything


def test_the_archive_contains_purchases(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (purchase,) = read_table(archive, "purchases.csv")
    assert (purchase["amount"], purchase["currency"]) == ("1499.90", "RUB")
    assert purchase["email"] == read_table(archive, "clients.csv")[0]["email"]


def test_the_archive_contains_the_views_of_the_client_list(
    session: Session, user: User, browser: FlaskClient
) -> None:
    user.client_columns, user.client_views = ["tags"], [{"name": "Omsk", "q": "omsk", "sort": "email"}]
    session.commit()
    profile = json.loads(download_archive(browser).read("profile.json"))
    assert profile["client_columns"] == ["tags"]
    assert profile["client_views"] == [{"name": "Omsk", "q": "omsk", "sort": "email"}]


def test_the_archive_contains_notes(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (note,) = read_table(archive, "notes.csv")
    assert note["text"] == "Called on Monday"
    assert note["email"] == read_table(archive, "clients.csv")[0]["email"]


def test_the_archive_contains_clients_declared_to_be_different_people(
    session: Session, user: User, browser: FlaskClient
) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    first, second = read_table(archive, "not-the-same.csv")
    assert first["group"] == second["group"]
    known = [client["email"] for client in read_table(archive, "clients.csv")]
    assert [first["email"], second["email"]] == known[:2]


def test_the_archive_contains_api_keys_without_the_keys_themselves(
    session: Session, user: User, browser: FlaskClient
) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (key,) = read_table(archive, "api-keys.csv")
    assert (key["name"], key["kind"], key["begins_with"][:9]) == ("Shop", "live", "sky_live_")
    assert session.scalars(select(ApiKey.digest)).one() not in archive.read("api-keys.csv").decode()


def test_the_archive_contains_forms_and_signups(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (form,) = json.loads(archive.read("forms.json"))
    assert (form["name"], form["tags"], form["consent_text"]) == ("Footer", ["vip"], "I agree")
    (signup,) = read_table(archive, "sign-ups.csv")
    found = signup["email"], signup["values"], signup["ip"]
    assert found == ("New@example.org", '{"full_name": "Nina"}', "192.0.2.9")


def test_the_archive_contains_senders_pauses_and_published_letters(
    session: Session, user: User, browser: FlaskClient
) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (sender,) = json.loads(archive.read("senders.json"))
    assert (sender["name"], sender["address"], sender["confirmed_at"]) == ("Shop", "News@shop.example", None)
    assert json.loads(archive.read("mailings.json"))[0]["sender_id"] == sender["id"]
    profile = json.loads(archive.read("profile.json"))
    assert profile["mailings_paused_reason"] == "too-many-bounces: 60/1000"
    assert profile["brand"]["name"] == "The Shop"
    assert profile["archive_address"] == f"shop-{user.id}"
    (published,) = json.loads(archive.read("archive.json"))
    assert (published["title"], published["html"]) == ("Published", "<p>News</p>")


def test_the_archive_contains_links_and_clicks(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (link,) = read_table(archive, "links.csv")
    assert (link["url"], link["label"], link["clicks"]) == ("https://shop.example/sale", "Sale", "1")
    assert link["variants"] == "AC"
    (click,) = read_table(archive, "clicks.csv")
    assert (click["first_click"], click["clicks"]) == ("2025-11-24T16:00:00.000Z", "1")
    assert "@" in click["email"]


def test_the_archive_contains_ab_tests(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (mailing,) = json.loads(archive.read("mailings.json"))
    assert [(row["number"], row["subject"]) for row in mailing["variants"]] == [(2, "Autumn is here")]
    (run,) = json.loads(archive.read("runs.json"))
    assert (run["winner_by"], run["winner"]) == ("clicks", 2)
    assert [(row["subject"], row["sent"]) for row in run["variants"]] == [
        ("Autumn", 0),
        ("Autumn is here", 1),
    ]
    assert [row["variant"] for row in read_table(archive, "letters.csv")] == ["2", "", ""]


def test_the_archive_contains_topics_and_the_people_who_left_them(
    session: Session, user: User, browser: FlaskClient
) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)
    (topic,) = json.loads(archive.read("topics.json"))
    assert topic["name"] == "Offers"
    (mailing,) = json.loads(archive.read("mailings.json"))
    assert mailing["topic_id"] == topic["id"]
    (choice,) = read_table(archive, "topic-choices.csv")
    assert (choice["topic"], choice["email"], choice["is_joined"]) == ("Offers", "left@example.org", "False")
    (left,) = read_table(archive, "unsubscriptions.csv")
    assert (left["email"], left["topic"], left["comment"]) == ("left@example.org", "Offers", "moved to Tver")


def test_the_archive_does_not_name_managers(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    archive = download_archive(browser)

    entries = {row["action"]: row for row in read_table(archive, "audit.csv")}
    assert (entries["user-blocked"]["by"], entries["user-blocked"]["network_address"]) == ("SkyMailing", "")
    assert entries["user-blocked"]["reason"] == "spam"
    assert entries["client-deleted"]["network_address"] == "192.0.2.7"
    assert "manager@sky.example" not in archive.read("audit.csv").decode()


def test_an_export_is_audited_and_works_for_an_empty_account(
    session: Session, user: User, browser: FlaskClient
) -> None:
    archive = download_archive(browser)

    assert json.loads(archive.read("messages.json")) == []
    actions = session.scalars(select(AuditEntry.action).where(AuditEntry.actor_id == user.id)).all()
    assert actions == [AuditAction.ACCOUNT_EXPORTED]


def test_reading_in_chunks_loses_no_rows(
    session: Session, user: User, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "CHUNK", 2)
    create_account_data(session, user)
    create_sending_run(user)
    archive = download_archive(browser)
    assert len(read_table(archive, "letters.csv")) == 9
    assert [row["tag"] for row in read_table(archive, "bulk-actions.csv")] == ["vip"]
    returned = read_table(archive, "returned.csv")
    assert [(row["mailing"], row["answer"]) for row in returned] == [("Осень", "552 mailbox full")]
    assert len(read_table(archive, "mailing-clients.csv")) == 3
    assert len(json.loads(archive.read("runs.json"))) == 2


def test_the_export_contains_the_files_of_messages_runs_and_links(
    session: Session, user: User, browser: FlaskClient
) -> None:
    mailing = create_account_data(session, user)
    create_account_data(session, UserFactory.create())

    archive = download_archive(browser)

    attached, sent, transactional, linked = read_table(archive, "attachments.csv")
    assert (attached["message_id"], attached["name"]) == (str(mailing.message_id), "Прайс.pdf")
    assert sent["run_id"]
    assert transactional["content_id"]
    assert len(linked["link"]) == 32
    assert [archive.read(row["file"]) for row in (attached, sent, transactional, linked)] == [
        b"attached",
        b"attached",
        b"attached",
        b"linked",
    ]
    assert len([name for name in archive.namelist() if name.startswith("attachments/")]) == 2
