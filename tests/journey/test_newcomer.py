"""Test the path from an empty folder to a delivered mailing through the pages of a running service."""

import csv
import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import redis
from email_validator import EmailNotValidError, validate_email

from skymailing.clock import utcnow
from skymailing.settings.redis_socket import embedded_redis_url
from tests.journey.visitor import Page, Visitor
from tests.processes.service import Service, wait_until

CLIENTS = Path(__file__).parent.parent / "data" / "clients-utf8.csv"
EMAIL, PASSWORD = "maria@bakery.example", "a loaf of rye bread"
SOON = 10  # seconds: enough to fill in the form, also on a busy machine
LINK = re.compile(r"http://\S+/auth/verify/\S+")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # Thousands of letters on the first day are more than a new account may send.
    settings = {"WORKERS": "2", "LIMIT_NEW_ACCOUNT_LETTERS_PER_DAY": "0"}
    service = Service(tmp_path_factory.mktemp("newcomer") / "data", **settings)
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def maria(service: Service) -> Visitor:
    """Return a visitor who has registered and confirmed the address with the link and the password."""
    visitor = Visitor(service.url)
    page = visitor.submit(visitor.get("/auth/register"), email=EMAIL, password=PASSWORD)
    assert page.status == 200, page.visible_text
    refused = visitor.submit(visitor.get("/auth/login"), email=EMAIL, password=PASSWORD)
    assert visitor.get("/clients/").url.startswith(service.url + "/auth/login"), refused.visible_text

    link = wait_for_link(service)
    visitor.submit(visitor.get(link), password=PASSWORD)
    assert visitor.get("/clients/").url == service.url + "/clients/"
    return visitor


def list_caught_letters(service: Service) -> list[tuple[str, bytes]]:
    """Return the recipient and content of each letter in the mail catcher."""
    letters = []
    for path in (service.data_dir / "outbox").rglob("*.eml"):
        content = path.read_bytes()
        letters.append((str(message_from_bytes(content)["Delivered-To"]), content))
    return letters


def wait_for_link(service: Service) -> str:
    links: list[str] = []

    def has_arrived() -> bool:
        for recipient, content in list_caught_letters(service):
            body = message_from_bytes(content, policy=policy.default).get_body(("plain",))
            if recipient == EMAIL and body and (match := LINK.search(body.get_content())):
                links.append(match.group())
        return bool(links)

    wait_until(has_arrived, "the confirmation letter", 30)
    return links[0]


def find_object_id(page: Page) -> str:
    match = re.search(r"/(\d+)(?:/|$)", page.url)
    assert match, f"{page.url}: {page.visible_text[:600]}"
    return match.group(1)


def read_status(service: Service, mailing: str) -> dict[str, Any]:
    result = service.run("mailings", "status", mailing, "--json")
    assert result.returncode == 0, result.stderr
    status: dict[str, Any] = json.loads(result.stdout)
    return status


def is_finished(service: Service, mailing: str) -> bool:
    """Query the database, because repeated commands would take processor time from the workers."""
    with closing(sqlite3.connect(service.data_dir / "skymailing.db")) as database:
        row = database.execute("SELECT state FROM mailings WHERE id = ?", [mailing]).fetchone()
    return bool(row == ("finished",))


def read_valid_addresses() -> set[str]:
    """Return each valid address in the file once, in lower case, parsed without our code."""
    addresses = set()
    with CLIENTS.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            text = row["email"].strip()
            try:
                parsed = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
            except EmailNotValidError:
                continue
            addresses.add(f"{parsed.local_part}@{parsed.ascii_domain}".lower())
    return addresses


@pytest.fixture(scope="module")
def message(maria: Visitor) -> str:
    page = maria.submit(
        maria.get("/messages/new"),
        subject="Свежий хлеб для {{ name }}",
        format="markdown",
        body="Здравствуйте, {{ name }}!\n\nВ **{{ client.city | default: 'вашем городе' }}** новая пекарня.",
    )
    return find_object_id(page)


def schedule(maria: Visitor, message: str, delay: float, **values: str | list[str]) -> str:
    """Use the form to create a mailing that starts `delay` seconds from now; return its ID."""
    start = utcnow() + timedelta(seconds=delay)
    page = maria.submit(
        maria.get("/mailings/new"),
        **{
            "name": f"Пекарня {start:%H:%M:%S}",
            "message": message,
            "audience": "all",
            "starts_at": f"{start:%Y-%m-%dT%H:%M:%S}",
            "ends_at": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M}",
            "periodicity": "once",
            "on_unknown": "resend",
        }
        | values,
    )
    return find_object_id(page)


def test_imported_clients_get_the_letter_and_the_log_is_complete(
    service: Service, maria: Visitor, message: str
) -> None:
    page = maria.submit(maria.submit(maria.get("/clients/import"), "", {"file": CLIENTS}))
    progress = page.url
    wait_until(lambda: "finished" in maria.get(progress).text.lower(), "the import is finished", 60)

    mailing = schedule(maria, message, delay=-5)
    wait_until(lambda: is_finished(service, mailing), "the mailing is finished", 120)

    expected = read_valid_addresses()
    letters = [letter for letter in list_caught_letters(service) if letter[0] != EMAIL]
    assert Counter(recipient.lower() for recipient, _ in letters) == dict.fromkeys(expected, 1)
    counts = read_status(service, mailing)
    assert counts["state"] == "finished"
    assert counts["planned"] == counts["sent"] == len(expected)
    parsed = message_from_bytes(letters[0][1], policy=policy.default)
    assert [address.addr_spec for address in parsed["To"].addresses] == [letters[0][0]]
    assert parsed["List-Unsubscribe"]

    log = list(csv.DictReader(maria.get(f"/mailings/{mailing}/log.csv").text.lstrip("\ufeff").splitlines()))
    assert list(log[0]) == ["time", "mailing", "run", "email", "attempt", "outcome", "code", "answer"]
    assert {row["email"].lower() for row in log} == expected
    assert {(row["outcome"], row["code"], row["attempt"]) for row in log} == {("sent", "250", "1")}


def measure_first_letter_delay(service: Service, start: float, address: str) -> float:
    """Wait for a letter caught after `start` (seconds since 1970); return its delay in seconds."""
    delays: list[float] = []
    time.sleep(max(0, start - time.time()))  # looking through all letters keeps a processor busy

    def has_arrived() -> bool:
        for path in (service.data_dir / "outbox").rglob("*.eml"):
            written_at = path.stat().st_mtime
            if written_at >= start - 5 and address.encode() in path.read_bytes():
                delays.append(written_at - start)
        return bool(delays)

    wait_until(has_arrived, "the first letter", 60)
    return min(delays)


@pytest.fixture(scope="module")
def friend(service: Service, maria: Visitor) -> tuple[str, str]:
    """Add a client who is mailed separately; return the client's ID and address."""
    address = "friend@bakery.example"
    maria.submit(maria.get("/clients/new"), email=address, full_name="Анна", comment="")
    page = maria.get("/clients/?q=friend")
    match = re.search(r"/clients/(\d+)", page.text)
    assert match, page.visible_text
    return match.group(1), address


def schedule_for_friend(maria: Visitor, message: str, delay: float, friend: tuple[str, str]) -> float:
    start = (utcnow() + timedelta(seconds=delay)).replace(microsecond=0)
    remaining = (start - utcnow()).total_seconds()
    schedule(maria, message, remaining, audience="selected", clients=[friend[0]])
    return start.timestamp()


def test_a_scheduled_mailing_starts_within_two_seconds(
    service: Service, maria: Visitor, message: str, friend: tuple[str, str]
) -> None:
    start = schedule_for_friend(maria, message, SOON, friend)

    assert 0 <= measure_first_letter_delay(service, start, friend[1]) < 2


def test_emptying_redis_causes_no_delay(
    service: Service, maria: Visitor, message: str, friend: tuple[str, str]
) -> None:
    start = schedule_for_friend(maria, message, SOON, friend)
    redis.Redis.from_url(embedded_redis_url(service.data_dir)).flushall()

    assert 0 <= measure_first_letter_delay(service, start, friend[1]) < 2


def test_a_mailing_due_during_downtime_starts_right_afterwards(
    service: Service, maria: Visitor, message: str, friend: tuple[str, str]
) -> None:
    start = schedule_for_friend(maria, message, 4, friend)
    assert service.press_ctrl_c() == 0
    time.sleep(max(0, start + 1 - time.time()))

    service.start()
    restarted_at = time.time()

    delay = measure_first_letter_delay(service, start, friend[1])
    assert start + delay < restarted_at + 2
