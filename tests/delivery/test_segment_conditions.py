"""Compare segment conditions in SQL with a plain evaluation, for random clients."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.conditions import Not
from skymailing.delivery.audience.segments import compile_segment, read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.extensions import db
from skymailing.models import (
    Client,
    DeliveryState,
    Engagement,
    Run,
    SignupForm,
    SuppressionReason,
    Tag,
    User,
    client_forms,
    client_tags,
)
from tests.delivery.plain_conditions import SENT, Person, PlainEvaluator
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    SuppressionFactory,
    UserFactory,
)
from tests.support.sales import PurchaseFactory
from tests.support.signup_factories import SignupFormFactory, TopicChoiceFactory, TopicFactory

NOW = datetime(2027, 2, 26, 22, 30, tzinfo=UTC)  # the 27th in Moscow; a year without 29 February
TYPES = {"city": "text", "age": "number", "born": "date", "vip": "yes_no"}
CITIES = ["Омск", "омск ", "Томск", "100%", "a_b", "a\\b", "O'Neil", 'say "hi"', "Санкт-Петербург", ""]
NUMBERS = """\
5|18|18.0|12,50|1 200|1\u00a0200,5|$1,200|1.200,50|1.200.300|1,200|-3|−3|+7|5 руб.|5 ₽|USD 5|5 USD|12%|n/a||
0x10|１２|1'200|999999999999999999|9999999999999999999|1,2,3|1,234,567.89|12.5.6|₽|5 р.|10 USDX|USD|1 20|007
1e5
""".replace("\n", "|").split("|")
DATES = """\
1990-02-28|1992-02-29|1990-02-30|29.02.1992|28.02.90|3/4/2020|13/4/2020|4/13/2020|2027-02-27
2027-02-26 23:59|27 февраля 2027 г.|5 Мая 1980|31.11.2020|2027-02-27 25:00|0000-01-01|9999-12-31|01.01.01
1.1.68|yesterday||2026.12.01|27.02.2027г.|1 янв 2020|2027-2-7|2027-01-011|1.13.2020|31 дек 1999 года
2027-02-28|27.02.1950 10:15 UTC|2027-02-27T10:00:00.123+03:00|123-01-01|1-2-345|28 ДЕКАБРЯ 2026
2027-03-05T10:00:00Z|1.1.70|2026-11-29
""".replace("\n", "|").split("|")
WORDS = ["да", "Нет", "yes", "0", "1", "+", "maybe", "", "TRUE", "off"]
FORMS = ["footer", "sidebar"]
TAGS = ["VIP", "опт", "100%", "a_b"]
MAILING_OPS = ["received", "not_received", "clicked", "not_clicked", "bounced", "not_bounced"]
OUTCOMES = ("sent", "clicked", "scanned", "failed", "unknown")
TOPICS = {"Новости": False, "Digest": True}  # whether people have to choose it
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["Анна", "anna", "Bob_1", "100% Bob", ""]),
            "domain": st.sampled_from(["example.org", "mail.example.com", "xn--e1afmkfd.xn--p1ai"]),
            "comment": st.sampled_from(["", "звонить утром", "VIP_5%"]),
            "timezone": st.sampled_from(["", "Europe/Moscow", "Asia/Tokyo"]),
            "city": st.sampled_from(CITIES),
            "age": st.sampled_from(NUMBERS),
            "born": st.sampled_from(DATES),
            "vip": st.sampled_from(WORDS),
            "added": st.integers(0, 800),  # hours ago
            "tags": st.sets(st.sampled_from(TAGS)),
            "forms": st.sets(st.sampled_from(FORMS)),
            "choices": st.dictionaries(st.sampled_from(list(TOPICS)), st.booleans()),
            "suppression": st.sampled_from([None, None, *(reason.value for reason in SuppressionReason)]),
            "purchases": st.sets(st.integers(0, 30), max_size=2),  # days ago
            "outcomes": st.lists(st.tuples(st.integers(0, 2), st.sampled_from(OUTCOMES)), max_size=3),
        }
    ),
    min_size=1,
    max_size=12,
)
ISO_DATES = st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.dates(date(1990, 1, 1), date(2028, 1, 1))
DAYS = st.integers(0, 400) | st.sampled_from([0, 1, 2, 6, 36500])
FLOATS = st.sampled_from([5, 12.5, 1200, 1200.5, -3, 18, 1e300, 1234567.89]) | st.floats(-1e6, 1e6)
TEXTS = st.sampled_from(
    [*(city.strip() for city in CITIES if city.strip()), "мск", "%", "_", "b", "xyz", "ОМСК"]
)
MAILINGS = (
    st.integers(0, 2)
    | st.builds(lambda number: {"last": number}, st.integers(1, 3))
    | st.builds(lambda number: {"days": number}, st.integers(1, 9))
)


def leaf(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def ordered(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(values, values).map(sorted)


def leaves_of(field: str, ops: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(leaf, st.just(field), st.sampled_from(ops), values)


TEXT_OPS = ["equals", "not_equals", "contains", "not_contains", "starts_with"]
LEAVES = st.one_of(
    *(leaves_of(name, TEXT_OPS, TEXTS) for name in ("attribute.city", "full_name", "comment", "timezone")),
    leaves_of("attribute.city", ["in"], st.lists(TEXTS, min_size=1, max_size=4)),
    leaves_of("email", TEXT_OPS, st.sampled_from(["anna", "example.org", "@", "c1@EXAMPLE.org", "_", "%"])),
    leaves_of("domain", TEXT_OPS, st.sampled_from(["example.org", "mail", "xn--p1ai", "org"])),
    leaves_of("attribute.age", ["equals", "not_equals", "gt", "gte", "lt", "lte"], FLOATS),
    leaves_of("attribute.age", ["between"], ordered(FLOATS)),
    *(
        leaves_of(name, ["on", "before", "after"], ISO_DATES.map(str))
        for name in ("attribute.born", "added_at")
    ),
    *(leaves_of(name, ["between"], ordered(ISO_DATES.map(str))) for name in ("attribute.born", "added_at")),
    *(
        leaves_of(name, ["within_days", "older_than_days", "in_next_days", "anniversary_within_days"], DAYS)
        for name in ("attribute.born", "added_at")
    ),
    *(
        leaves_of(f"attribute.{key}", ["is_set", "is_empty"], st.none())
        for key in ("city", "age", "born", "vip")
    ),
    leaves_of("attribute.vip", ["is"], st.booleans()),
    leaves_of("tag", ["is", "is_not"], st.sampled_from([*TAGS, "vip", "ОПТ"])),
    leaves_of("form", ["is", "is_not"], st.sampled_from(FORMS)),
    leaves_of("topic", ["is", "is_not"], st.sampled_from([*TOPICS, "НОВОСТИ"])),
    leaves_of("state", ["is", "is_not"], st.sampled_from("mailable suppressed unsubscribed bounced".split())),
    leaves_of("mailing", MAILING_OPS, MAILINGS),
    leaves_of("purchase", ["bought", "not_bought"], st.integers(1, 31)),
)


def nest(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    groups = st.lists(nodes, min_size=1, max_size=3)
    return (
        st.builds(lambda children: {"all": children}, groups)
        | st.builds(lambda children: {"any": children}, groups)
        | st.builds(lambda child: {"not": child}, nodes)
    )


TREES = LEAVES | nest(LEAVES) | nest(LEAVES | nest(LEAVES))


class World:
    """The owner's mailings, tags and clients, in the database and as plain values."""

    def __init__(self, session: Session, owner: User) -> None:
        self.session, self.owner = session, owner
        # The runs started one, five and nine days ago.
        self.starts = [NOW - timedelta(days=days, minutes=1) for days in (1, 5, 9)]
        mailings = [MailingFactory.create(owner=owner) for _start in self.starts]
        self.mailings = [mailing.id for mailing in mailings]
        self.runs: list[Run] = [
            RunFactory.create(mailing=mailing, started_at=start, scheduled_for=start)
            for mailing, start in zip(mailings, self.starts, strict=True)
        ]
        self.tags = {name: Tag(owner_id=owner.id, name=name, name_key=name.lower()) for name in TAGS}
        session.add_all(self.tags.values())
        self.forms: dict[str, SignupForm] = {name: SignupFormFactory.create(owner=owner) for name in FORMS}
        self.topics = {
            name: TopicFactory.create(owner=owner, name=name, is_opt_in=is_opt_in)
            for name, is_opt_in in TOPICS.items()
        }
        session.flush()

    def add(self, number: int, drawn: dict[str, Any]) -> Person:
        attributes = {key: drawn[key].strip() for key in TYPES if drawn[key].strip()}
        client = ClientFactory.create(
            owner=self.owner,
            email=f"c{number}@{drawn['domain']}",
            full_name=drawn["name"],
            comment=drawn["comment"],
            timezone=drawn["timezone"],
            attributes=attributes,
            created_at=NOW - timedelta(hours=drawn["added"]),
        )
        if drawn["tags"]:
            rows = [{"tag_id": self.tags[name].id, "client_id": client.id} for name in drawn["tags"]]
            self.session.execute(insert(client_tags), rows)
        if drawn["forms"]:
            links = [{"form_id": self.forms[name].id, "client_id": client.id} for name in drawn["forms"]]
            self.session.execute(insert(client_forms), links)
        if drawn["suppression"]:
            reason = SuppressionReason(drawn["suppression"])
            SuppressionFactory.create(owner_id=self.owner.id, email_key=client.email_key, reason=reason)
        for name, is_joined in drawn["choices"].items():
            topic = self.topics[name]
            TopicChoiceFactory.create(topic=topic, email_key=client.email_key, is_joined=is_joined)
        outcomes = list(dict(drawn["outcomes"]).items())  # one delivery per run
        for index, state in outcomes:
            self.add_letter(client, self.runs[index], state)
        return Person(
            client.email,
            client.full_name,
            client.comment,
            client.timezone,
            attributes,
            client.created_at,
            drawn["tags"],
            {self.forms[name].uuid for name in drawn["forms"]},
            drawn["suppression"],
            {name for name in TOPICS if drawn["choices"].get(name, not TOPICS[name])},
            [(self.mailings[index], self.starts[index], state) for index, state in outcomes],
            self.add_purchases(client, drawn["purchases"]),
        )

    def add_purchases(self, client: Client, days: set[int]) -> list[datetime]:
        """Add purchases, and a refunded one, which must not count."""
        times = [NOW - timedelta(days=number, minutes=-1) for number in days]
        for at in times:
            PurchaseFactory.create(client=client, purchased_at=at)
        PurchaseFactory.create(client=client, purchased_at=NOW, amount=0)
        return times

    def add_letter(self, client: Client, run: Run, state: str) -> None:
        stored = DeliveryState.SENT if state in SENT else DeliveryState(state)
        delivery = DeliveryFactory.create(run=run, client=client, state=stored)
        if state in ("clicked", "scanned"):
            key = {"delivery_id": delivery.id, "run_id": run.id, "mailing_id": run.mailing_id}
            counts = {"clicks": int(state == "clicked"), "machine_clicks": int(state == "scanned")}
            self.session.add(Engagement(**key, **counts))
            self.session.flush()

    def name_mailings(self, node: Any) -> Any:
        """Replace the positions of mailings in conditions by their IDs, and names of forms by their UUIDs."""
        if isinstance(node, list):
            return [self.name_mailings(child) for child in node]
        if not isinstance(node, dict):
            return node
        if node.get("field") == "form":
            return node | {"value": self.forms[node["value"]].uuid}
        if node.get("field") == "mailing" and isinstance(node["value"], int):
            return node | {"value": self.mailings[node["value"]]}
        return {key: self.name_mailings(child) for key, child in node.items()}

    def find(self, condition: ColumnElement[bool]) -> set[str]:
        return set(
            db.session.scalars(select(Client.email).where(Client.owner_id == self.owner.id, condition))
        )


@settings(max_examples=25)
@given(
    people=PEOPLE,
    trees=st.lists(TREES, min_size=15, max_size=25),
    order=st.sampled_from(["dmy", "mdy"]),
    locale=st.sampled_from(["ru", "en"]),
)
def test_databases_find_the_clients_for_whom_conditions_hold(
    app: Flask, session: Session, people: list[dict[str, Any]], trees: list[Any], order: str, locale: str
) -> None:
    created = UserFactory.create(
        attribute_types=TYPES, date_order=order, locale=locale, timezone="Europe/Moscow"
    )
    other = ClientFactory.create(owner=UserFactory.create(), attributes={"city": "Омск"})
    world = World(session, created)
    persons = [world.add(number, drawn) for number, drawn in enumerate(people)]
    with app.app_context():
        owner = db.session.get(User, created.id)
        assert owner is not None
        plain = PlainEvaluator(ValueFormats.of(owner), ZoneInfo("Europe/Moscow"), NOW, world.mailings)
        for tree in map(world.name_mailings, trees):
            expected = {person.email for person in persons if plain.holds(tree, person)}
            found = world.find(compile_segment(tree, owner, NOW))
            assert found == expected, tree
            assert other.email not in found
            viewpoint = Viewpoint.of(owner, NOW)
            excluded = world.find(compile_conditions(Not(read_segment(tree, viewpoint)), viewpoint))
            assert excluded == {person.email for person in persons} - expected, tree


@pytest.mark.parametrize("text", ["ΑΘΗΝΑΣ", "İstanbul", "STRASSE ß", "Ёлка", "a*b?[c]"])
def test_a_text_always_equals_itself(app: Flask, session: Session, user: User, text: str) -> None:
    client = ClientFactory.create(owner=user, full_name=text)
    with app.app_context():
        owner = db.session.get_one(User, user.id)
        many = [str(number) for number in range(150)]
        for op, value in (
            ("equals", text),
            ("contains", text),
            ("starts_with", text),
            ("in", [text]),
            ("in", [*many, text]),
        ):
            condition = compile_segment(leaf("full_name", op, value), owner, NOW)
            assert db.session.scalars(select(Client.id).where(condition)).all() == [client.id], op
