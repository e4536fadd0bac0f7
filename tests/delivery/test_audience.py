"""Test the recipients of mailings to segments and tags, their runs, and the reasons for pauses."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.audience.conditions import Leaf, read_conditions
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.parts import lock_parts
from skymailing.delivery.audience.segments import compile_segment
from skymailing.extensions import db
from skymailing.models import (
    AttributeType,
    Audience,
    Mailing,
    MailingAudience,
    MailingState,
    Run,
    Segment,
    StateReason,
    Tag,
    User,
    client_tags,
)
from skymailing.web.error_texts import ERROR_TEXTS
from tests.delivery.conftest import Start
from tests.support.factories import ClientFactory, MailingFactory, RunFactory, due_mailing
from tests.support.servers import SmtpServer
from tests.support.statements import record_statements

OMSK = {"field": "attribute.city", "op": "equals", "value": "Омск"}
NOT_WHOLESALE = {"field": "tag", "op": "is_not", "value": "Wholesale"}


@pytest.fixture
def town(session: Session, user: User) -> dict[str, Any]:
    """Two clients in Omsk and one in Tomsk; one in Omsk is tagged as wholesale, the one in Tomsk as vip."""
    user.attribute_types = {"city": "text"}
    clients = {
        name: ClientFactory.create(owner=user, email=f"{name}@example.org", attributes={"city": city})
        for name, city in (("anna", "Омск"), ("boris", "омск"), ("clara", "Томск"))
    }
    tags = {name: Tag(owner_id=user.id, name=name, name_key=name.lower()) for name in ("Wholesale", "vip")}
    segment = Segment(owner_id=user.id, name="Omsk", conditions=OMSK)
    session.add_all([*tags.values(), segment])
    session.flush()
    pairs = (("Wholesale", "boris"), ("vip", "clara"))
    rows = [{"tag_id": tags[tag].id, "client_id": clients[client].id} for tag, client in pairs]
    session.execute(insert(client_tags), rows)
    return {**clients, **tags, "segment": segment}


def mail_to(
    session: Session,
    owner: User,
    include: list[Any],
    exclude: list[Any],
    audience: Audience = Audience.SEGMENTS,
) -> Mailing:
    mailing = due_mailing(owner, audience=audience)
    parts = [(part, False) for part in include] + [(part, True) for part in exclude]
    for position, (part, is_excluded) in enumerate(parts):
        column = "tag_id" if isinstance(part, Tag) else "segment_id"
        session.add(
            MailingAudience(
                mailing_id=mailing.id, position=position, is_excluded=is_excluded, **{column: part.id}
            )
        )
    session.flush()
    return mailing


def test_included_clients_get_one_letter_each_unless_they_are_excluded(
    session: Session, user: User, town: dict[str, Any], start: Start, smtp: SmtpServer
) -> None:
    mailing = mail_to(session, user, [town["segment"], town["vip"]], [town["Wholesale"]])
    start(mailing)
    assert smtp.per_address() == {"anna@example.org": 1, "clara@example.org": 1}


def test_planning_evaluates_a_segment_once(
    session: Session, user: User, town: dict[str, Any], start: Start, smtp: SmtpServer
) -> None:
    """Searching for an attribute without a type can take long, and the mailing is locked during that time."""
    user.attribute_types = {}
    mailing = mail_to(session, user, [town["segment"]], [])
    with record_statements() as statements:
        start(mailing)
    assert smtp.per_address() == {"anna@example.org": 1, "boris@example.org": 1}
    assert (
        sum(statement.startswith("SELECT EXISTS (SELECT * \nFROM clients") for statement in statements) == 1
    )


def test_an_audience_of_all_clients_can_exclude_a_segment(
    session: Session, user: User, town: dict[str, Any], start: Start, smtp: SmtpServer
) -> None:
    start(mail_to(session, user, [], [town["segment"]], Audience.ALL))
    assert smtp.per_address() == {"clara@example.org": 1}


def test_a_run_keeps_the_conditions_as_they_were(
    session: Session, user: User, town: dict[str, Any], start: Start
) -> None:
    segment, tag = town["segment"], town["Wholesale"]
    start(mail_to(session, user, [segment], [tag]))
    segment.conditions = NOT_WHOLESALE
    session.flush()
    assert session.scalars(select(Run)).one().audience == {
        "audience": "segments",
        "include": [{"segment": segment.id, "name": "Omsk", "conditions": OMSK}],
        "exclude": [{"tag": tag.id, "name": "Wholesale"}],
    }


def test_a_condition_on_a_mailing_whose_letters_were_removed_is_rejected(
    app: Flask, session: Session, user: User
) -> None:
    run = RunFactory.create(mailing=MailingFactory.create(owner=user))
    condition = {"field": "mailing", "op": "not_received", "value": run.mailing_id}
    with app.app_context():
        owner = db.session.get_one(User, user.id)
        compile_segment(condition, owner, utcnow())
        db.session.rollback()
        run.details_removed_at = utcnow()
        session.flush()
        with pytest.raises(InvalidConditions) as caught:
            compile_segment(condition, db.session.get_one(User, user.id), utcnow())
    assert caught.value.code == "segment_mailing_forgotten"


@pytest.mark.parametrize("is_excluded", [False, True])
@pytest.mark.parametrize(
    "conditions",
    [
        {"field": "tag", "op": "is_not", "value": "gone"},
        {"field": "attribute.gone", "op": "not_equals", "value": "x"},
        {"field": "mailing", "op": "not_received", "value": 987654},
        {"field": "attribute.city", "op": "gt", "value": 5},
        {"not": {"all": []}},
    ],
)
def test_a_segment_that_cannot_be_evaluated_pauses_the_mailing(
    session: Session,
    user: User,
    town: dict[str, Any],
    start: Start,
    smtp: SmtpServer,
    conditions: dict[str, Any],
    is_excluded: bool,
) -> None:
    broken = Segment(owner_id=user.id, name="broken", conditions=conditions)
    session.add(broken)
    session.flush()
    include = [town["segment"]] if is_excluded else [town["segment"], broken]
    mailing = mail_to(session, user, include, [broken] if is_excluded else [])
    start(mailing)
    assert smtp.per_address() == {}
    assert session.scalars(select(Run)).all() == []
    session.refresh(mailing)
    assert (mailing.state, mailing.state_reason) == (MailingState.PAUSED, StateReason.AUDIENCE_BROKEN)


def test_an_audience_without_segments_pauses_the_mailing(
    session: Session, user: User, town: dict[str, Any], start: Start, smtp: SmtpServer
) -> None:
    mailing = mail_to(session, user, [], [town["vip"]])
    start(mailing)
    session.refresh(mailing)
    assert (mailing.state, smtp.per_address()) == (MailingState.PAUSED, {})


def test_the_last_mailing_is_not_the_one_that_is_being_planned(
    session: Session, user: User, town: dict[str, Any], start: Start, smtp: SmtpServer
) -> None:
    before = due_mailing(user, audience=Audience.SEGMENTS)
    session.add(
        MailingAudience(mailing_id=before.id, position=0, is_excluded=False, segment_id=town["segment"].id)
    )
    session.flush()
    start(before)
    condition = {"field": "mailing", "op": "not_received", "value": {"last": 1}}
    others = Segment(owner_id=user.id, name="others", conditions=condition)
    session.add(others)
    session.flush()
    smtp.clear()
    start(mail_to(session, user, [others], []))
    assert smtp.per_address() == {"clara@example.org": 1}


@pytest.mark.only_on("postgresql", reason="on SQLite, planning holds the only write lock")
def test_a_tag_cannot_change_while_a_run_is_planned(
    app: Flask, session: Session, user: User, town: dict[str, Any]
) -> None:
    mailing_id = mail_to(session, user, [town["segment"]], [town["Wholesale"]]).id
    with app.app_context(), Session(db.engine) as planning, planning.begin():
        lock_parts(planning.get_one(Mailing, mailing_id))
        with Session(db.engine) as other:
            locked = select(Tag.id).where(Tag.id == town["Wholesale"].id).with_for_update(nowait=True)
            with pytest.raises(OperationalError):
                other.scalar(locked)


def deep(levels: int) -> dict[str, Any]:
    return {"not": deep(levels - 1)} if levels else OMSK


TYPES = {"age": AttributeType.NUMBER, "born": AttributeType.DATE, "vip": AttributeType.YES_NO}
LONG = "x" * 501
LISTED = {"field": "email", "op": "in", "value": [str(n) for n in range(200)]}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "segment_unreadable"),
        ([OMSK], "segment_unreadable"),
        ({"all": OMSK}, "segment_unreadable"),
        ({"all": [OMSK], "any": [OMSK]}, "segment_unreadable"),
        ({"field": 7, "op": "equals", "value": "x"}, "segment_unreadable"),
        ({"all": []}, "segment_empty"),
        (deep(4), "segment_too_deep"),
        ({"any": [OMSK] * 51}, "segment_too_many"),
        ({"field": "owner_id", "op": "equals", "value": "1"}, "segment_field_unknown"),
        ({"field": 'attribute.a"b', "op": "equals", "value": "1"}, "segment_field_unknown"),
        ({"field": "attribute.age", "op": "contains", "value": "1"}, "segment_operator_unknown"),
        ({"field": "email", "op": "gt", "value": "1"}, "segment_operator_unknown"),
        ({"field": "email", "op": "equals", "value": " \0 "}, "segment_value_missing"),
        ({"field": "email", "op": "equals"}, "segment_text_expected"),
        ({"field": "email", "op": "contains", "value": LONG}, "segment_text_too_long"),
        ({"field": "email", "op": "in", "value": "x"}, "segment_list_expected"),
        ({"field": "email", "op": "in", "value": ["x", 5]}, "segment_text_expected"),
        ({"field": "email", "op": "in", "value": [str(n) for n in range(201)]}, "segment_list_too_long"),
        ({"any": [LISTED] * 6}, "segment_list_too_long"),
        ({"field": "attribute.age", "op": "gt", "value": 10**400}, "segment_number_expected"),
        ({"field": "attribute.age", "op": "gt", "value": float("nan")}, "segment_number_expected"),
        ({"field": "attribute.age", "op": "gt", "value": True}, "segment_number_expected"),
        ({"field": "attribute.age", "op": "between", "value": [1]}, "segment_range_expected"),
        ({"field": "attribute.age", "op": "between", "value": [2, 1]}, "segment_range_reversed"),
        ({"field": "attribute.born", "op": "on", "value": "2023-02-30"}, "segment_date_expected"),
        ({"field": "attribute.born", "op": "on", "value": "30.01.2023"}, "segment_date_expected"),
        ({"field": "added_at", "op": "within_days", "value": -1}, "segment_days_expected"),
        ({"field": "added_at", "op": "within_days", "value": 10**9}, "segment_days_expected"),
        ({"field": "attribute.vip", "op": "is", "value": "yes"}, "segment_value_missing"),
        ({"field": "state", "op": "is", "value": "manual"}, "segment_state_unknown"),
        ({"field": "mailing", "op": "received", "value": 2**40}, "segment_mailing_expected"),
        ({"field": "mailing", "op": "received", "value": {"last": 0}}, "segment_mailing_expected"),
        ({"field": "mailing", "op": "received", "value": {"weeks": 2}}, "segment_mailing_expected"),
    ],
)
def test_conditions_that_cannot_be_evaluated_are_rejected(data: Any, code: str) -> None:
    with pytest.raises(InvalidConditions) as caught:
        read_conditions(data, TYPES)
    assert caught.value.code == code
    assert code in ERROR_TEXTS


def test_an_error_names_its_condition() -> None:
    with pytest.raises(InvalidConditions) as caught:
        read_conditions({"all": [OMSK, {"any": [OMSK, {"field": "email", "op": "gt", "value": 1}]}]}, TYPES)
    assert caught.value.values["number"] == 3


def test_wildcards_in_text_are_kept_and_nul_is_removed() -> None:
    leaf = read_conditions({"field": "email", "op": "contains", "value": "100%_\0"}, {})
    assert isinstance(leaf, Leaf)
    assert leaf.value == "100%_"
