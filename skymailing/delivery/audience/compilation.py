"""Compile the conditions of a segment to one SQL condition on clients, for both databases.

A client whose value is missing or does not fit its type does not meet a condition, but meets its negation. In
SQL, such a condition may be NULL, which WHERE treats as false; negations that could be NULL are avoided.
"""

import operator
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, func, literal, not_, or_, select

from skymailing.db.text_search import contains_text, equals_text, is_one_of_texts, starts_with_text
from skymailing.delivery.audience.activity import has_activity
from skymailing.delivery.audience.conditions import Group, Leaf, Node, Not
from skymailing.delivery.audience.fields import NEGATIONS, InvalidConditions, Kind, State
from skymailing.delivery.audience.memberships import has_bought, has_tag, is_among, topic_condition, used_form
from skymailing.delivery.audience.reactions import has_reacted
from skymailing.delivery.audience.typed_values import date_of, is_within, number_of, text_of, yes_no_of
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.email_addresses import address_pattern, domain_pattern
from skymailing.extensions import db
from skymailing.models import Client, Suppression, Tag, Topic

Condition = ColumnElement[bool]
TEXT_COMPARISONS: dict[str, Callable[[Any, str], Condition]] = {
    "equals": equals_text,
    "contains": contains_text,
    "starts_with": starts_with_text,
}
# Conditions of these kinds refer to rows of other tables. PostgreSQL joins them unless they are in a CASE.
JOINED_KINDS = {Kind.TAG, Kind.FORM, Kind.TOPIC, Kind.MAILING, Kind.STATE, Kind.PURCHASE, Kind.ACTIVITY}
COSTS = dict.fromkeys((Kind.TAG, Kind.FORM, Kind.TOPIC, Kind.STATE), 0) | {Kind.TEXT: 1, Kind.YES_NO: 1}
COMPARISONS = {
    "equals": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def compile_conditions(node: Node, viewpoint: Viewpoint) -> Condition:
    """Return the SQL condition on `Client` for a tree of conditions; combine it with `Client.owner_id`.

    To exclude clients, compile `Not(node)` instead of negating the result.
    """
    return _Compiler(viewpoint, db.engine.dialect.name).compile(node)


def _estimate_cost(node: Node) -> int:
    """Return a rough cost, by which the nodes of a group are sorted: SQLite evaluates them in order.

    Tags and states are looked up; attributes are read from JSON, numbers and dates several times.
    """
    if not isinstance(node, Leaf):
        return 3
    return COSTS.get(node.kind, 2) if node.attribute or node.kind in JOINED_KINDS else 0


class _Compiler:
    def __init__(self, viewpoint: Viewpoint, dialect: str) -> None:
        self.viewpoint = viewpoint
        self.dialect = dialect

    def compile(self, node: Node, *, is_negated: bool = False) -> Condition:
        """Compile a tree. Negations move down to the leaves, which databases can turn into anti-joins."""
        match node:
            case Group():
                join = and_ if node.needs_all is not is_negated else or_
                children = sorted(node.nodes, key=_estimate_cost)
                return join(*(self.compile(child, is_negated=is_negated) for child in children)).self_group()
            case Not():
                return self.compile(node.node, is_negated=not is_negated)
            case Leaf():
                return self.compile_leaf(node, is_negated=is_negated is not (node.op in NEGATIONS))

    def compile_leaf(self, leaf: Leaf, *, is_negated: bool) -> Condition:
        compile_kind: dict[Kind, Callable[[Leaf, str], Condition]] = {
            Kind.TEXT: self.compile_text,
            Kind.NUMBER: self.compile_number,
            Kind.DATE: self.compile_added if leaf.field == "added_at" else self.compile_date,
            Kind.YES_NO: self.compile_yes_no,
            Kind.TAG: self.compile_tag,
            Kind.FORM: self.compile_form,
            Kind.TOPIC: self.compile_topic,
            Kind.MAILING: self.compile_mailing,
            Kind.STATE: self.compile_state,
            Kind.PURCHASE: self.compile_purchase,
            Kind.ACTIVITY: self.compile_activity,
        }
        condition = compile_kind[leaf.kind](leaf, NEGATIONS.get(leaf.op, leaf.op))
        if leaf.kind in JOINED_KINDS:
            return not_(condition) if is_negated else condition
        # PostgreSQL assumes that a CASE matches half of the rows. For a comparison of values without
        # statistics, it would expect very few matches, and read all clients with a tag again for each of
        # them. A client whose value is missing does not meet the condition, but meets its negation.
        return case((condition, literal(not is_negated)), else_=literal(is_negated))

    def compile_text(self, leaf: Leaf, op: str) -> Condition:
        column, prepare = self.find_text(leaf)
        if op == "is_set":
            is_set: Condition = column != ""
            return is_set
        if op == "in":
            return is_one_of_texts(column, [prepare(text) for text in leaf.value])
        return TEXT_COMPARISONS[op](column, prepare(leaf.value))

    def find_text(self, leaf: Leaf) -> tuple[Any, Callable[[str], str]]:
        """Return the text of a field, and a function that prepares a value for comparison with it."""
        if leaf.field == "email":
            return Client.email_key, address_pattern
        if leaf.field == "domain":
            return self.extract_domain(), domain_pattern
        return text_of(leaf.attribute) if leaf.attribute else getattr(Client, leaf.field), str

    def extract_domain(self) -> ColumnElement[str]:
        if self.dialect == "sqlite":
            return func.substr(Client.email_key, func.instr(Client.email_key, "@") + 1, type_=String)
        return func.split_part(Client.email_key, "@", 2, type_=String)

    def compile_number(self, leaf: Leaf, op: str) -> Condition:
        assert leaf.attribute is not None
        return _compare(number_of(leaf.attribute, self.viewpoint.formats, self.dialect), op, leaf.value)

    def compile_date(self, leaf: Leaf, op: str) -> Condition:
        assert leaf.attribute is not None
        column = date_of(leaf.attribute, self.viewpoint.formats, self.dialect)
        if op == "is_set":
            return column.is_not(None)
        if op == "anniversary_within_days":
            return self.compile_anniversary(column, leaf.value)
        first, last = self.find_days(op, leaf.value)
        if first and last:
            return is_within(column, first, last, self.dialect)
        condition: Condition = column >= first.isoformat() if first else column <= str(last)
        return condition

    def find_days(self, op: str, value: Any) -> tuple[date | None, date | None]:
        """Return the first and the last day of a condition on a date; None is unbounded."""
        today = self.viewpoint.today
        match op:
            case "on":
                return value, value
            case "between":
                return value[0], value[1]
            case "before":
                return None, _shift(value, -1)
            case "after":
                return _shift(value, 1), None
            case "within_days":
                return _shift(today, -value), today
            case "in_next_days":
                return today, _shift(today, value)
        return None, _shift(today, -value - 1)  # older_than_days

    def compile_added(self, leaf: Leaf, op: str) -> Condition:
        """Compare the time at which a client was added with days in the owner's time zone."""
        if op == "is_set":
            return Client.created_at.is_not(None)
        if op == "anniversary_within_days":
            # The day, in the owner's time zone, when each client was added: only the database can compute it.
            day = (
                func.stored_day(Client.created_at, self.viewpoint.zone.key)
                if self.dialect == "sqlite"
                else func.to_char(func.timezone(self.viewpoint.zone.key, Client.created_at), "YYYY-MM-DD")
            )
            return self.compile_anniversary(day, leaf.value)
        first, last = self.find_days(op, leaf.value)
        bounds = [Client.created_at >= self.viewpoint.midnight(first)] if first else []
        bounds += [Client.created_at < self.viewpoint.midnight(_shift(last, 1))] if last else []
        return and_(*bounds)

    def compile_anniversary(self, column: ColumnElement[str], days: int) -> Condition:
        """Return the condition that the day and month of a date fall within this many days from today.

        In years without 29 February, its anniversary is on the 28th.
        """
        first, last = self.viewpoint.today, _shift(self.viewpoint.today, days)
        if days >= 365:
            return column.is_not(None)
        start, end = f"{first:%m-%d}", f"{last:%m-%d}"
        if end == "02-28" and not _is_leap(last.year):
            end = "02-29"
        day: ColumnElement[str] = func.substr(column, 6, 5, type_=String)
        if self.dialect == "postgresql":
            day = day.collate("C")
        return and_(day >= start, day <= end) if first.year == last.year else or_(day >= start, day <= end)

    def compile_yes_no(self, leaf: Leaf, op: str) -> Condition:
        assert leaf.attribute is not None
        column = yes_no_of(leaf.attribute)
        return column.is_not(None) if op == "is_set" else column == leaf.value

    def compile_tag(self, leaf: Leaf, _op: str) -> Condition:
        statement = select(Tag.id).where(
            Tag.owner_id == self.viewpoint.owner_id, Tag.name_key == leaf.value.lower()
        )
        return has_tag(statement, self.dialect)

    def compile_form(self, leaf: Leaf, _op: str) -> Condition:
        return used_form(self.viewpoint.owner_id, leaf.value, self.dialect)

    def compile_topic(self, leaf: Leaf, _op: str) -> Condition:
        condition = (Topic.owner_id == self.viewpoint.owner_id) & (Topic.name_key == leaf.value.lower())
        topic = self.viewpoint.session.scalar(select(Topic).where(condition))
        if topic is None:
            raise InvalidConditions("segment_topic_missing", name=leaf.value)
        return topic_condition(topic)

    def compile_state(self, leaf: Leaf, _op: str) -> Condition:
        keys = select(Suppression.email_key).where(Suppression.owner_id == self.viewpoint.owner_id)
        if leaf.value not in (State.MAILABLE, State.SUPPRESSED):
            keys = keys.where(Suppression.reason == leaf.value.value)
        is_listed = is_among(Client.email_key, Suppression.email_key, keys, self.dialect)
        return not_(is_listed) if leaf.value is State.MAILABLE else is_listed

    def compile_mailing(self, leaf: Leaf, op: str) -> Condition:
        return has_reacted(self.viewpoint, op, leaf.value, self.dialect)

    def compile_activity(self, leaf: Leaf, _op: str) -> Condition:
        return has_activity(leaf.value, self.viewpoint, self.dialect)

    def compile_purchase(self, leaf: Leaf, _op: str) -> Condition:
        since = self.viewpoint.now - timedelta(days=leaf.value)
        return has_bought(self.viewpoint.owner_id, since, self.dialect)


def _compare(column: ColumnElement[float], op: str, value: Any) -> Condition:
    if op == "is_set":
        return column.is_not(None)
    if op == "between":
        return column.between(*value)
    compare: Callable[[Any, Any], Condition] = COMPARISONS[op]
    return compare(column, value)


def _shift(day: date, days: int) -> date:
    """Return the date this many days later, within the years that a date can have."""
    return date.fromordinal(max(1, min(date.max.toordinal(), day.toordinal() + days)))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
