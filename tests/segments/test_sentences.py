"""Test that a shop owner's segments can be saved, read as sentences, and find the right clients."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.audience.conditions import read_conditions, write_conditions
from skymailing.delivery.audience.fields import FIELDS, NEGATIONS, OPERATORS, Kind
from skymailing.models import AttributeType, Client, Mailing
from skymailing.segments.sentences import SENTENCES, Rule, Sentence, Sentences, describe
from skymailing.segments.words import COMPARISONS, FIELD_NAMES
from tests.segments.pages import NOT_WHOLESALE, find_addresses, find_sentences, save

pytestmark = pytest.mark.one_engine

TYPES = {"city": AttributeType.TEXT, "spent": AttributeType.NUMBER, "birthday": AttributeType.DATE}
MAILING = "the ID of the spring sale"
A_YEAR_AGO = (utcnow() - timedelta(days=365)).date()


def leaf(field: str, op: str, value: Any = None) -> dict[str, Any]:
    key = field if field in FIELDS else f"attribute.{field}"
    return {"field": key, "op": op} if value is None else {"field": key, "op": op, "value": value}


# What a shop owner says, the form's JSON, the page's sentences, and the clients found.
OWNER_SENTENCES: dict[str, tuple[Any, list[str], str]] = {
    "bought in the last 90 days and lives in Omsk or Tomsk, without wholesale": (
        {
            "all": [
                leaf("last_purchase", "within_days", 90),
                leaf("city", "in", ["Omsk", "Tomsk"]),
                NOT_WHOLESALE,
            ]
        },
        [
            "All of these apply:",
            "Last purchase is within the last 90 days",
            "City is Omsk or Tomsk",
            "Tag is not wholesale",
        ],
        "anna",
    ),
    "has not bought anything for half a year, but still gets our emails": (
        {"all": [leaf("last_purchase", "older_than_days", 180), leaf("state", "is", "mailable")]},
        ["All of these apply:", "Last purchase is more than 180 days ago", "Client status is subscribed"],
        "dmitri",
    ),
    "has a birthday in the next two weeks": (
        leaf("birthday", "anniversary_within_days", 14),
        ["Birthday comes up within the next 14 days"],
        "anna",
    ),
    "ordered at least three times": (leaf("orders", "gte", 3), ["Orders is at least 3"], "anna clara"),
    "ordered once or twice": (leaf("orders", "between", [1, 2]), ["Orders is from 1 to 2"], "boris"),
    "has a loyalty card, but no comment": (
        {"all": [leaf("loyalty_card", "is", True), leaf("comment", "is_empty")]},
        ["All of these apply:", "Loyalty card is yes", "Comment is empty"],
        "clara",
    ),
    "got the spring sale": (
        leaf("mailing", "received", MAILING),
        ["Received the mailing “Spring sale”"],
        "anna",
    ),
    "got nothing in the last month, or none of the last three mailings": (
        {
            "any": [
                leaf("mailing", "not_received", {"days": 30}),
                leaf("mailing", "not_received", {"last": 3}),
            ]
        },
        [
            "At least one of these applies:",
            "Did not receive any mailing of the last 30 days",
            "Did not receive any of the last 3 mailings",
        ],
        "boris clara dmitri",
    ),
    "is from Omsk, or wholesale with more than no orders": (
        {
            "any": [
                leaf("city", "equals", "Omsk"),
                {"all": [leaf("tag", "is", "wholesale"), leaf("orders", "gt", 0)]},
            ]
        },
        [
            "At least one of these applies:",
            "City is Omsk",
            "All of these apply:",
            "Tag is wholesale",
            "Orders is more than 0",
        ],
        "anna boris clara",
    ),
    "gets no letters about offers, in any spelling": (
        {"not": leaf("topic", "is", "OFFERS")},
        ["Does not get emails about “OFFERS”"],
        "boris",
    ),
    "was added this year, but neither lives in Tver nor has another address at the shop": (
        {
            "all": [
                leaf("added_at", "after", A_YEAR_AGO.isoformat()),
                {"not": {"any": [leaf("city", "equals", "Tver"), leaf("domain", "equals", "shop.org")]}},
            ]
        },
        [
            "All of these apply:",
            f"Date added is after {A_YEAR_AGO:%-d %b %Y}",
            "None of these applies:",
            "City is Tver",
            "Email domain is shop.org",
        ],
        "anna boris clara",
    ),
}


@pytest.mark.parametrize("said", OWNER_SENTENCES)
def test_what_a_shop_owner_says_becomes_a_segment(
    browser: FlaskClient, session: Session, shop: dict[str, Client], said: str
) -> None:
    conditions, sentences, names = OWNER_SENTENCES[said]
    if isinstance(conditions, dict) and conditions.get("value") == MAILING:
        conditions = {**conditions, "value": session.scalars(select(Mailing.id)).one()}
    response = save(browser, conditions)
    assert response.status_code == 302, response.text

    page = browser.get(response.location).text

    assert find_sentences(page) == sentences
    assert find_addresses(page) == {shop[name].email for name in names.split()}


@pytest.fixture
def in_english(app: Flask) -> Any:
    with app.app_context(), force_locale("en"):
        yield


def write(sentences: Sentence | Sentences) -> str:
    """Return described conditions in one line."""
    if isinstance(sentences, Sentence):
        return f"{sentences.number} {sentences.text}"
    return f"{sentences.rule}({'; '.join(map(write, sentences.parts))})"


@pytest.mark.parametrize(
    ("conditions", "written"),
    [
        (leaf("city", "equals", "50 % off"), "all(1 City is 50 % off)"),
        ({"not": leaf("city", "contains", "x")}, "all(1 City does not contain “x”)"),
        ({"not": {"not": leaf("city", "contains", "x")}}, "all(1 City contains “x”)"),
        ({"not": leaf("city", "not_equals", "x")}, "all(1 City is x)"),
        ({"not": leaf("spent", "gt", 1.5)}, "none(1 Spent is more than 1.5)"),
        (
            {"not": {"all": [leaf("spent", "is_set"), leaf("city", "in", ["a", "b", "c"])]}},
            "not-all(1 Spent is filled in; 2 City is a, b, or c)",
        ),
        (leaf("mailing", "bounced", 7), "all(1 Bounced: a deleted mailing)"),
        (leaf("mailing", "received", {"last": 1}), "all(1 Received the last mailing)"),
        (leaf("state", "is_not", "suppressed"), "all(1 Client status is not excluded from mailings)"),
        (leaf("birthday", "in_next_days", 0), "all(1 Birthday is today)"),
        (leaf("activity", "is_not", "quiet"), "all(1 Activity is not quiet)"),
        (leaf("purchase", "bought", 30), "all(1 Bought something within the last 30 days)"),
        ({"not": leaf("purchase", "bought", 1)}, "all(1 Did not buy anything within the last day)"),
    ],
)
def test_negations_and_values_are_written_as_people_say_them(
    in_english: None, conditions: Any, written: str
) -> None:
    assert write(describe(read_conditions(conditions, TYPES))) == written


def test_a_group_with_one_sentence_needs_no_title(in_english: None) -> None:
    sentence = Sentence("City is Omsk", 1)
    assert not Sentences(Rule.ANY, (sentence,)).needs_title
    assert Sentences(Rule.NONE, (sentence,)).needs_title
    assert Sentences(Rule.ALL, (sentence, sentence)).needs_title


def test_a_long_list_is_cut_in_the_sentence(in_english: None) -> None:
    node = read_conditions(leaf("city", "in", [f"Town {n}" for n in range(30)]), TYPES)
    assert write(describe(node)).endswith("Town 9…)")


def test_sentences_follow_the_language(app: Flask) -> None:
    conditions = {"all": [leaf("birthday", "within_days", 3), leaf("mailing", "not_received", {"last": 5})]}
    node = read_conditions(conditions, TYPES)
    with app.app_context(), force_locale("ru"):
        assert write(describe(node)) == (
            "all(1 Birthday: за последние 3 дня; 2 Не получена ни одна из последних 5 рассылок)"
        )


def test_every_field_and_operator_has_a_name() -> None:
    assert FIELD_NAMES.keys() == FIELDS.keys()
    assert {kind: set(known) for kind, known in COMPARISONS.items()} == {
        kind: set(known) for kind, known in OPERATORS.items()
    }
    days = {op for op in OPERATORS[Kind.DATE] if op.endswith("_days")}
    days |= OPERATORS[Kind.PURCHASE].keys()
    assert {op for known in OPERATORS.values() for op in known} | NEGATIONS.keys() == SENTENCES.keys() | days


@pytest.mark.parametrize("said", OWNER_SENTENCES)
def test_conditions_are_stored_as_they_were_written(said: str) -> None:
    conditions = OWNER_SENTENCES[said][0]
    types = TYPES | {
        "last_purchase": AttributeType.DATE,
        "orders": AttributeType.NUMBER,
        "loyalty_card": AttributeType.YES_NO,
    }
    if conditions.get("value") == MAILING:
        conditions = {**conditions, "value": 5}
    assert write_conditions(read_conditions(conditions, types)) == conditions
