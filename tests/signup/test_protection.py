"""Test that forms stop bots but not people, and protect strangers' mailboxes."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    Signup,
    SignupForm,
)
from skymailing.signup import protection, rates, stamps
from skymailing.signup.protection import PER_FORM, Passage, judge
from skymailing.signup.requests import Request, request_signup
from tests.mailings.pages import get_field_error, get_main_text
from tests.signup.people import (
    EMAIL,
    ENTERED,
    Visitor,
    count_letters,
    new_ip,
    normalize,
    path_of,
    prove,
    read_bits,
    read_fields,
)
from tests.support.dns_server import DnsServer
from tests.support.signup_factories import SignupFormFactory

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


# --- Bots -------------------------------------------------------------------------------------


@time_machine.travel(utcnow().replace(hour=12, minute=0))  # a form's requests are counted by hour and day
def test_ten_thousand_requests_of_a_bot_fail_while_people_can_subscribe(
    app: Flask, session: Session, form: SignupForm
) -> None:
    """The bot uses a thousand networks, and reads pages but runs no scripts."""
    now = utcnow()
    passed = steps = 0
    with app.app_context():
        for number in range(10_000):
            key = f"victim{number}@mail.example"
            stamp = stamps.make_step_stamp(form.uuid, key, 0, now)
            visitor = protection.Visitor(f"198.18.{number % 1000 // 4}.{number % 4 * 64 + number % 7}")
            verdict = judge(form, key, visitor, stamp, "1", now)
            passed += verdict.passage is Passage.ALLOWED
            steps += verdict.passage is Passage.STEP
    assert passed == PER_FORM
    assert steps > 9000

    anna = Visitor(app)
    step = anna.submit(form)
    assert read_bits(step) >= 17
    assert "too many requests" in step.text, "for people without JavaScript"
    assert "Check your email" in get_main_text(anna.complete_step(form, step))
    other: SignupForm = SignupFormFactory.create()
    assert "data-bits" not in Visitor(app).submit(other).text, "other owners' forms are not affected"


def test_one_network_cannot_put_a_form_under_attack(app: Flask, session: Session, form: SignupForm) -> None:
    attacker = Visitor(app)
    codes = [attacker.sign_up(form, email=f"v{n}@mail.example").status_code for n in range(8)]
    assert codes == [200] * 5 + [429] * 3
    rejected = attacker.sign_up(form)
    assert "try again in an hour" in get_main_text(rejected)
    assert read_fields(rejected)["email"] == EMAIL
    neighbours = [Visitor(app, ip=f"203.0.113.{n}") for n in range(70)]
    responses = [person.sign_up(form, email=f"n{n}@mail.example") for n, person in enumerate(neighbours)]
    assert [response.status_code for response in responses] == [200] * 60 + [429] * 10
    assert "data-bits" not in Visitor(app).submit(form).text
    assert count_letters(session) == 65
    with time_machine.travel(utcnow() + timedelta(hours=2)):
        assert attacker.sign_up(form, email="later@mail.example").status_code == 200


@pytest.mark.parametrize(
    ("ip", "keys"),
    [
        ("192.0.2.7", ["ip:192.0.2.7/32", "net:192.0.2.0/24"]),
        ("::ffff:192.0.2.7", ["ip:192.0.2.7/32", "net:192.0.2.0/24"]),
        ("2001:db8:1:2:3::4", ["ip:2001:db8:1:2::/64", "net:2001:db8:1::/48"]),
        ("", ["ip:unknown", "net:unknown"]),
    ],
)
def test_networks_are_those_of_one_customer(ip: str, keys: list[str]) -> None:
    assert protection.list_network_keys(ip) == keys


def test_a_proof_is_valid_for_one_address_only(app: Flask, session: Session, form: SignupForm) -> None:
    with app.app_context():
        now = utcnow()
        rates.count([f"form:{form.id}"] * 1, now)
        for _ in range(PER_FORM):
            rates.count([f"form:{form.id}", f"owner:{form.owner_id}"], now)
    anna = Visitor(app)
    fields = read_fields(anna.submit(form))
    bits = read_bits(anna.submit(form))
    fields["proof"] = prove(fields["stamp"], bits)
    for changed in (
        {"email": "other@mail.example"},
        {"proof": "x"},
        {"proof": ""},
        {"stamp": fields["stamp"][:-1]},
    ):
        assert "One more step" in get_main_text(anna.post(path_of(form), fields | changed))
    assert "Check your email" in get_main_text(anna.post(path_of(form), fields))


def test_the_invisible_field_catches_bots(app: Flask, session: Session, form: SignupForm) -> None:
    response = Visitor(app).sign_up(form, website="http://spam.example")
    assert "Check your email" in get_main_text(response)
    assert session.scalar(select(Signup)) is None


def test_a_form_that_is_submitted_at_once_or_a_day_later_needs_another_click(
    app: Flask, session: Session, form: SignupForm
) -> None:
    with app.app_context():
        now = utcnow()
        for age in timedelta(seconds=1), timedelta(hours=25):
            with time_machine.travel(now - age):
                stamp = stamps.make_page_stamp(form.uuid, utcnow())
            response = Visitor(app).post(path_of(form), ENTERED | {"stamp": stamp})
            assert "One more step" in get_main_text(response)
        other: SignupForm = SignupFormFactory.create()
        stamp = stamps.make_page_stamp(other.uuid, now - timedelta(minutes=1))
        assert "One more step" in get_main_text(Visitor(app).post(path_of(form), ENTERED | {"stamp": stamp}))
    assert session.scalar(select(Signup)) is None


def test_the_page_is_cached_for_a_minute(app: Flask, session: Session, form: SignupForm) -> None:
    """Its stamp contains the time at which it was rendered."""

    def read_stamp() -> str:
        return read_fields(Visitor(app).get(path_of(form)))["stamp"]

    now = utcnow()
    with time_machine.travel(now, tick=False) as clock:
        first = read_stamp()
        clock.shift(50)
        assert read_stamp() == first
        clock.shift(15)
        assert read_stamp() != first


# --- Mailboxes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spellings",
    [
        ("Anna@gmail.com", "an.na+x@gmail.com", "a.n.n.a@googlemail.com"),
        ("an.na@ya.ru", "An-na@yandex.ru", "an.na+x@yandex.com"),
    ],
)
def test_a_mailbox_gets_three_letters_a_day_across_all_forms_and_owners(
    app: Flask, session: Session, form: SignupForm, spellings: tuple[str, ...]
) -> None:
    forms: list[SignupForm] = [form, *(SignupFormFactory.create() for _ in range(3))]
    start = utcnow()
    times: list[datetime] = []
    with app.app_context():
        for minutes in range(0, 3 * 24 * 60, 13):
            now = start + timedelta(minutes=minutes)
            for number, target in enumerate(forms):
                email = spellings[(minutes + number) % 3]
                if request_signup(db.session.merge(target), Request(email, {}), protection.Visitor(""), now):
                    times.append(now)
            db.session.commit()
    assert len(times) == 9
    for earlier, later in itertools.pairwise(times):
        assert later - earlier >= timedelta(minutes=10)
    for first, fourth in zip(times, times[3:], strict=False):
        assert fourth - first >= timedelta(days=1)


def test_the_limit_of_a_mailbox_is_not_visible(app: Flask, session: Session, form: SignupForm) -> None:
    responses = [Visitor(app).sign_up(form) for _ in range(3)]
    assert len({normalize(response.text) for response in responses}) == 1
    assert count_letters(session) == 1


# --- Domains ----------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["silent.example", "mistyped.example"])
def test_a_domain_without_mail_is_an_error_beside_the_field(
    app: Flask, session: Session, form: SignupForm, domain: str
) -> None:
    page = Visitor(app).sign_up(form, email=f"anna@{domain}")
    assert f"The domain {domain} does not accept email" in get_field_error(page, "email")
    assert session.scalar(select(Signup)) is None


def test_domains_are_looked_up_once_and_accepted_after_a_failure(
    app: Flask, session: Session, form: SignupForm, dns_server: DnsServer
) -> None:
    Visitor(app).sign_up(form)
    queries = dns_server.query_count
    assert queries > 0
    Visitor(app).sign_up(form, email="boris@mail.example")
    assert dns_server.query_count == queries
    dns_server.broken.add("broken.example")
    assert "Check your email" in get_main_text(Visitor(app).sign_up(form, email="a@broken.example"))
    queries = dns_server.query_count
    response = Visitor(app).sign_up(form, email="a@mistyped.example")
    assert "Check your email" in get_main_text(response), "DNS is not queried for a while after a failure"
    assert dns_server.query_count == queries


def test_forms_work_without_redis(
    app: Flask, session: Session, form: SignupForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        backend = shared_cache()
    monkeypatch.setattr(backend, "run", lambda *_command, **_options: None)
    attacker = Visitor(app)
    codes = [attacker.sign_up(form, email=f"v{n}@mail.example").status_code for n in range(7)]
    assert codes == [200] * 5 + [429] * 2
    assert Visitor(app, ip=new_ip()).sign_up(form).status_code == 200
    app.extensions.pop(rates.EXTENSION)
