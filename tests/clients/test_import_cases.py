"""Test real-world files that were once imported wrongly, and similar files."""

import csv
import io
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import (
    Client,
    ClientImport,
    ImportRejection,
    Suppression,
    SuppressionReason,
    Tag,
    User,
    client_tags,
)
from tests.clients.conftest import Import
from tests.support.factories import ClientFactory, SuppressionFactory

# Files are read in Python; test_imports.py and test_no_silent_loss.py import on both databases.
pytestmark = pytest.mark.one_engine

CASES = Path(__file__).parent.parent / "data" / "imports"
Person = tuple[str, str, dict[str, str]]


def read_people(session: Session) -> list[Person]:
    """Return each client's address, name and attributes, and the tags under "tags"."""
    session.expire_all()
    people = []
    for client in session.scalars(select(Client).order_by(Client.email_key)).all():
        is_clients_tag = client_tags.c.client_id == client.id
        statement = select(Tag.name).join(client_tags).where(is_clients_tag).order_by(Tag.name_key)
        tags = ", ".join(session.scalars(statement))
        assert "tags" not in client.attributes
        people.append((client.email, client.full_name, client.attributes | ({"tags": tags} if tags else {})))
    return people


def read_suppressions(session: Session) -> dict[str, str]:
    return {row.email_key: row.reason.value for row in session.scalars(select(Suppression))}


def count(import_: ClientImport) -> dict[str, int]:
    """Return how many rows had each result; each row of a file is counted once."""
    names = ("created", "updated", "rejected", "suppressed", "left_out")
    counts = {name: getattr(import_, name) for name in names}
    assert sum(counts.values()) == import_.rows_done == import_.rows_total
    return {name: number for name, number in counts.items() if number}


def make_csv(headers: str, *rows: dict[str, str]) -> str:
    """Return a table with a comma-separated row of headers and cells by header."""
    names = next(csv.reader([headers]))
    output = io.StringIO()
    writer = csv.DictWriter(output, names)
    writer.writeheader()
    writer.writerows(rows)
    return output.getvalue()


PEOPLE: dict[str, list[Person]] = {
    "250-empty-trailing-columns-refused.csv": [("person@example.org", "Test", {})],
    "bidi-marks-and-soft-hyphen-around-address.csv": [
        ("person1@example.org", "LRM", {}),
        ("person2@example.org", "LRE", {}),
        ("person3@example.org", "SHY", {}),
    ],
    "crm-postal-address-taken-for-email-cp1251.csv": [
        ("person@example.org", "Тест", {"адрес": "ул. Примерная, 5"}),
    ],
    "dos-cp866-names-garbled.csv": [("klient@example.org", "Пётр Иванов", {})],
    "google-contacts-layout-refused.csv": [
        ("person@example.org", "Test Person", {"first_name": "Test", "last_name": "Person"}),
    ],
    "name-angle-address-in-cell.csv": [
        ("other@example.org", "", {}),
        ("person@example.org", "Test Person", {}),
    ],
    "optouts-blocklisted-column-ignored.csv": [("ok@example.org", "Ok", {"first_name": "Ok"})],
    "optouts-mailchimp-unsubscribed-become-mailable.csv": [],
    "space-after-comma-keeps-quotes-in-name.csv": [("person@example.org", "Test", {"city": "Town"})],
    "western-cp1252-names-turn-cyrillic.csv": [
        ("kunde1@example.org", "Jörg Müller", {"city": "Köln"}),
        ("kunde2@example.org", "Zoë Ångström", {"city": "Orléans"}),
    ],
    "wordpress-user_email-refused.csv": [("person@example.org", "Test Person", {"user_login": "test"})],
}
SUPPRESSED = {
    "optouts-blocklisted-column-ignored.csv": {"blocked@example.org": "unsubscribed"},
    "optouts-mailchimp-unsubscribed-become-mailable.csv": {"gone@example.org": "unsubscribed"},
}


@pytest.mark.both_engines
@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_the_people_in_a_real_world_file_are_imported(run: Import, session: Session, name: str) -> None:
    import_ = run((CASES / name).read_bytes())
    assert not list(session.scalars(select(ImportRejection.value)))
    assert read_people(session) == PEOPLE[name]
    assert read_suppressions(session) == SUPPRESSED.get(name, {})
    count(import_)


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1250", ["Michał Wójcik", "Małgorzata Dąbrowska", "Jiří Černý", "Győző Szőke"]),
        ("mac-roman", ["Jörg Müller", "Hélène Lefèvre", "Núñez"]),
        ("koi8-r", ["Анна Петрова", "ИВАНОВ ПЁТР"]),
        ("cp866", ["Яна", "Илья"]),
        ("mac-cyrillic", ["Яна Иванова", "Пётр Сидоров"]),
        ("utf-16-le", ["Анна", "Jörg"]),
        ("utf-16-be", ["Анна", "Jörg"]),
        ("utf-16", ["Анна", "Łukasz"]),
        ("utf-8", ["Анна", "Łukasz", "Zoë"]),
    ],
)
def test_names_are_read_in_the_encoding_of_the_file(
    run: Import, session: Session, encoding: str, names: list[str]
) -> None:
    rows = "".join(f"c{number}@example.org,{name}\n" for number, name in enumerate(names))
    run(f"email,name\n{rows}".encode(encoding))
    assert [name for _email, name, _attributes in read_people(session)] == names


@pytest.mark.parametrize(
    ("cell", "address", "name"),
    [
        ("Anna P <anna@example.org>", "anna@example.org", "Anna P"),
        ('"""Petrova, Anna"" <anna@example.org>"', "anna@example.org", "Petrova, Anna"),
        ("<anna@example.org>", "anna@example.org", ""),
        ("anna@example.org;", "anna@example.org", ""),
        ("mailto:anna@example.org?subject=Hi", "anna@example.org", ""),
        ("Anna <mailto:anna@example.org>", "anna@example.org", "Anna"),
        ("\u00a0anna@example.org\u00a0", "anna@example.org", ""),
        ("\u202aanna@example.org\u202c\u200e ", "anna@example.org", ""),
        ("'anna@example.org'", "anna@example.org", ""),
    ],
)
def test_the_address_is_found_in_its_cell(
    run: Import, session: Session, cell: str, address: str, name: str
) -> None:
    run(f"email,city\n{cell},Omsk\n")
    assert read_people(session) == [(address, name, {"city": "Omsk"})]


def test_escaped_quotes_are_read(run: Import, session: Session) -> None:
    run('"email","name"\n"a@example.org","Anna \\"Nan\\" P"\n"b@example.org","\\"Bob\\""\n')
    assert [name for _email, name, _attributes in read_people(session)] == ['Anna "Nan" P', '"Bob"']


def test_invisible_characters_are_removed_from_names(run: Import, session: Session) -> None:
    run("email,name\na@example.org,\u200eAn\u00adna\u00a0\u00a0Petrova\u200f\n")
    assert read_people(session)[0][1] == "Anna Petrova"


def test_a_file_without_headers_loses_no_row(run: Import, session: Session) -> None:
    import_ = run("Anna;a@example.org;Omsk\nBob;b@example.org;\n")
    assert count(import_) == {"created": 2}
    assert read_people(session) == [
        ("a@example.org", "", {"column_1": "Anna", "column_3": "Omsk"}),
        ("b@example.org", "", {"column_1": "Bob"}),
    ]


def test_a_column_without_a_header_is_kept(run: Import, session: Session) -> None:
    run("email,,name,!!!\na@example.org,Omsk,Anna,5\n")
    assert read_people(session) == [("a@example.org", "Anna", {"column_2": "Omsk", "column_4": "5"})]


def test_the_address_column_is_found_by_its_cells(run: Import, session: Session) -> None:
    run("Contact person,Where to write\nAnna,a@example.org\nBob,b@example.org\n")
    assert [person[0] for person in read_people(session)] == ["a@example.org", "b@example.org"]


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("Status", "Unsubscribed", SuppressionReason.UNSUBSCRIBED),
        ("Статус", "Отписался", SuppressionReason.UNSUBSCRIBED),
        ("status", "hard-bounced", SuppressionReason.BOUNCED),
        ("EMAIL_BLACKLISTED", "true", SuppressionReason.UNSUBSCRIBED),
        ("unsubscribed_at", "2026-01-02", SuppressionReason.UNSUBSCRIBED),
        ("Opt-out", "Yes", SuppressionReason.UNSUBSCRIBED),
        ("complained", "1", SuppressionReason.COMPLAINED),
        ("subscribed", "no", SuppressionReason.UNSUBSCRIBED),
    ],
)
def test_an_opt_out_becomes_a_suppression(
    run: Import, session: Session, header: str, value: str, expected: SuppressionReason
) -> None:
    import_ = run(f"email,name,{header}\nout@example.org,Out,{value}\nin@example.org,In,\n")
    assert count(import_) == {"created": 1, "suppressed": 1}
    assert read_people(session) == [("in@example.org", "In", {})]
    assert read_suppressions(session) == {"out@example.org": expected.value}


def test_people_who_never_confirmed_are_skipped(run: Import, session: Session) -> None:
    import_ = run("email,status\na@example.org,active\nb@example.org,pending\nc@example.org,inactive\n")
    assert count(import_) == {"created": 1, "left_out": 2}
    assert read_suppressions(session) == {}


def test_an_unknown_state_is_reported_and_not_mailed(run: Import, session: Session) -> None:
    rows = "".join(f"a{number}@example.org,active\n" for number in range(300))
    import_ = run(f"email,status\n{rows}b@example.org,gone fishing\n")
    assert count(import_) == {"created": 300, "rejected": 1}
    assert session.scalars(select(ImportRejection.reason)).all() == ["unknown_status"]


def test_a_column_of_other_states_is_an_attribute(run: Import, session: Session) -> None:
    run("email,status\na@example.org,VIP\nb@example.org,active\n")
    assert [person[2] for person in read_people(session)] == [{"status": "VIP"}, {"status": "active"}]


@pytest.mark.both_engines
def test_an_import_never_weakens_a_suppression(run: Import, session: Session, user: User) -> None:
    SuppressionFactory.create(
        owner_id=user.id, email_key="a@example.org", reason=SuppressionReason.COMPLAINED, note="report"
    )
    SuppressionFactory.create(
        owner_id=user.id, email_key="b@example.org", reason=SuppressionReason.MANUAL, note=""
    )
    ClientFactory.create(owner=user, email="b@example.org", full_name="Bob")
    run("email,status\na@example.org,subscribed\nA@example.org,unsubscribed\nb@example.org,bounced\n")
    assert read_suppressions(session) == {"a@example.org": "complained", "b@example.org": "bounced"}
    assert {person[0] for person in read_people(session)} == {"a@example.org", "b@example.org"}
