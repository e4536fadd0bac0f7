"""Test the page of addresses that are never mailed."""

import csv
import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Suppression, SuppressionReason, User
from tests.clients.pages import find_errors
from tests.support.factories import SuppressionFactory, UserFactory
from tests.support.imports import read_form

PAGE = "/clients/suppressions/"
MANUAL, BOUNCED = SuppressionReason.MANUAL, SuppressionReason.BOUNCED


def read_reasons(session: Session) -> dict[str, SuppressionReason]:
    session.expire_all()
    return {row.email_key: row.reason for row in session.scalars(select(Suppression))}


def import_suppressions(browser: FlaskClient, content: bytes) -> None:
    response = browser.post(f"{PAGE}import", data={"file": (io.BytesIO(content), "stop.csv")})
    location = str(response.location)
    browser.post(location, data=read_form(browser.get(location).text))


def test_only_the_owners_addresses_are_listed_and_found(browser: FlaskClient, user: User) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key="anna@x.com", reason=BOUNCED, note="550 gone")
    SuppressionFactory.create(owner_id=user.id, email_key="boris@x.com")
    SuppressionFactory.create(owner_id=UserFactory.create().id, email_key="secret@x.com")
    page = browser.get(PAGE).text
    assert all(text in page for text in ("anna@x.com", "550 gone", "boris@x.com"))
    assert "secret" not in page
    found = browser.get(f"{PAGE}?q=BORIS").text
    assert "boris@x.com" in found
    assert "anna@x.com" not in found


def test_addresses_are_added_once_and_keep_stronger_reasons(
    browser: FlaskClient, session: Session, user: User
) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key="b@x.com", reason=BOUNCED)
    browser.post(f"{PAGE}add", data={"addresses": "A@x.com, b@x.com\n a@x.com;c@x.com "})
    assert read_reasons(session) == {"a@x.com": MANUAL, "b@x.com": BOUNCED, "c@x.com": MANUAL}


@pytest.mark.parametrize(("text", "expected"), [("", "at least one"), ("a@x.com bad", "bad: An email")])
def test_invalid_input_is_explained_and_adds_nothing(
    browser: FlaskClient, session: Session, text: str, expected: str
) -> None:
    assert expected in find_errors(browser.post(f"{PAGE}add", data={"addresses": text}).text)["addresses"]
    assert read_reasons(session) == {}


def test_a_file_of_addresses_is_imported(
    browser: FlaskClient, session: Session, work: Callable[[], None]
) -> None:
    import_suppressions(browser, b"email\na@x.com\nb@x.com\n")
    work()
    assert read_reasons(session) == {"a@x.com": MANUAL, "b@x.com": MANUAL}


def test_an_export_can_be_imported_with_its_reasons(
    browser: FlaskClient, session: Session, user: User, work: Callable[[], None]
) -> None:
    reasons = dict(zip(["a@x.com", "b@x.com", "c@x.com", "d@x.com"], SuppressionReason, strict=True))
    for key, reason in reasons.items():
        SuppressionFactory.create(owner_id=user.id, email_key=key, reason=reason)
    exported = browser.get(f"{PAGE}export").data
    rows = list(csv.DictReader(io.StringIO(exported.decode("utf-8-sig"))))
    assert {row["email"]: row["reason"] for row in rows} == {k: r.value for k, r in reasons.items()}
    for suppression in session.scalars(select(Suppression)):
        session.delete(suppression)
    session.flush()
    import_suppressions(browser, exported)
    work()
    assert read_reasons(session) == reasons


def test_only_the_owners_own_decisions_can_be_lifted(
    browser: FlaskClient, session: Session, user: User
) -> None:
    own = SuppressionFactory.create(owner_id=user.id, email_key="a@x.com", reason=MANUAL)
    bounced = SuppressionFactory.create(owner_id=user.id, email_key="b@x.com", reason=BOUNCED)
    paths = [f"{PAGE}{found.id}/lift" for found in (own, bounced)]
    assert [browser.post(path).status_code for path in paths] == [302, 403]
    assert read_reasons(session) == {"b@x.com": BOUNCED}
