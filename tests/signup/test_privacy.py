"""Test that responses reveal nothing about addresses, links take effect once, and input remains text."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from skymailing.clock import utcnow
from skymailing.models import (
    Client,
    Consent,
    Signup,
    SignupForm,
    SuppressionReason,
    User,
)
from skymailing.signup import stamps
from skymailing.signup.fields import read_entry
from skymailing.tokens import make_token
from tests.mailings.pages import get_main_text
from tests.signup.people import (
    EMAIL,
    ENTERED,
    Visitor,
    count_letters,
    normalize,
    only_link,
    path_of,
    read_fields,
)
from tests.support.factories import ClientFactory, SuppressionFactory
from tests.support.servers import SmtpServer
from tests.support.signup_factories import SignupFormFactory

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


# --- Enumeration ------------------------------------------------------------------------------


def test_responses_reveal_nothing_about_an_address(
    app: Flask, session: Session, user: User, form: SignupForm
) -> None:
    # All have the same length, because the response repeats the input.
    emails = {name: f"{name:x<15}@mail.example" for name in ["client", "stranger", *SuppressionReason]}
    ClientFactory.create(owner=user, email=emails["client"])
    for reason in SuppressionReason:
        SuppressionFactory.create(owner_id=user.id, email_key=emails[reason], reason=reason)
    responses = []
    for email in emails.values():
        response = Visitor(app).sign_up(form, email=email)
        headers = {key: value for key, value in response.headers if key != "X-Request-ID"}
        assert email in response.text
        responses.append((response.status_code, normalize(response.text).replace(email, ""), headers))
    assert all(response == responses[0] for response in responses)
    assert count_letters(session) == len(emails)


def test_no_page_sets_a_cookie(app: Flask, session: Session, form: SignupForm) -> None:
    anna = Visitor(app)
    pages = [anna.get(path_of(form)), anna.submit(form), anna.sign_up(form), anna.submit(form, email="x")]
    assert all("Set-Cookie" not in page.headers for page in pages)
    private = [page for page in pages if page.headers.get("Cache-Control") == "no-store"]
    assert len(private) == 3


def test_a_form_has_one_url(app: Flask, session: Session, form: SignupForm) -> None:
    """Redirect other spellings of the URL: each spelling would have its own copy in the cache."""
    spellings = [uuid for uuid in (form.uuid.upper(), form.uuid.title()) if uuid != form.uuid]
    for uuid in spellings:
        response = Visitor(app).get(f"/f/{uuid}")
        assert (response.status_code, response.headers["Location"]) == (308, path_of(form))


def test_a_website_may_post_without_a_csrf_token(app: Flask, session: Session, form: SignupForm) -> None:
    headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
    response = app.test_client().post(path_of(form), data=ENTERED, headers=headers)
    assert "One more step" in get_main_text(response)


# --- Links ------------------------------------------------------------------------------------


def test_scanners_confirm_nothing(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    Visitor(app).sign_up(form)
    work()
    link = only_link(smtp)
    for method in "GET", "HEAD", "OPTIONS":
        assert Visitor(app).get(link, method).status_code == 200
    assert session.scalar(select(Client)) is None
    assert session.scalar(select(Consent)) is None


def test_forged_and_foreign_links_do_nothing(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    Visitor(app).sign_up(form)
    work()
    link = only_link(smtp)
    signup = session.scalars(select(Signup)).one()
    other: SignupForm = SignupFormFactory.create(owner=user)
    token = link.rpartition("/")[2]
    with app.app_context():
        payloads: list[dict[str, Any]] = [
            {"signup": signup.id, "stamp": "x"},
            {"signup": str(signup.id)},
            {"signup": 2**70},
            {},
        ]
        forged = [make_token("confirm-signup", payload) for payload in payloads]
        forged.append(make_token("signup-page", {"signup": signup.id}))
    paths = [f"{path_of(form)}/confirm/{wrong}" for wrong in (*forged, token[:-2], token + "x")]
    paths.append(f"{path_of(other)}/confirm/{token}")
    for path in paths:
        assert Visitor(app).get(path).status_code == 410
        assert Visitor(app).post(path, {}).status_code == 410
    assert session.scalar(select(Client)) is None


# --- Input ------------------------------------------------------------------------------------


def test_html_in_input_is_escaped(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    script = '"><script>alert(1)</script>'
    for page in (
        Visitor(app).submit(form, full_name=script),
        Visitor(app).submit(form, full_name=script, email=script),
    ):
        assert "<script>alert" not in page.text
        assert read_fields(page)["full_name"] == script


@given(
    entered=st.dictionaries(
        st.sampled_from(["email", "full_name", "attribute.city", "comment", "owner_id"]),
        st.one_of(st.text(), st.emails()),
    )
)
def test_any_input_becomes_clean_values_or_errors(app: Flask, entered: dict[str, str]) -> None:
    asked = [
        {"key": "full_name", "label": "Name", "is_required": True},
        {"key": "attribute.city", "label": "City", "is_required": False},
    ]
    with app.test_request_context():
        form = SignupForm(fields=asked, owner=User(attribute_types={}))
        entry = read_entry(form, MultiDict(entered))
    assert set(entry.values) | set(entry.errors) <= {"email", "full_name", "attribute.city"}
    assert bool(entry.email) is not ("email" in entry.errors)
    for value in entry.values.values():
        assert value == value.strip() != ""
        assert "\0" not in value
    assert "\n" not in entry.values.get("full_name", "")


@given(stamp=st.text(), proof=st.text())
def test_any_stamp_and_proof_is_rejected(app: Flask, stamp: str, proof: str) -> None:
    with app.app_context():
        assert stamps.read_stamp(stamp, "uuid", EMAIL, utcnow()) is None
    assert stamps.is_proven(stamp.encode(errors="ignore").decode(), proof, 200) is False
