"""Describe conditions in the reader's language for all pages; also works outside of requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from babel.lists import format_list
from flask_babel import format_date, format_decimal, get_locale, lazy_gettext, ngettext
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from skymailing.delivery.audience.conditions import Group, Leaf, Node, Not
from skymailing.delivery.audience.fields import NEGATIONS, Kind
from skymailing.segments.words import name_activity, name_field, name_state

MAX_VALUES = 10  # values of one sentence
IS, IS_NOT = lazy_gettext("%(field)s is %(value)s"), lazy_gettext("%(field)s is not %(value)s")
# Keyed by operator; those that count days need plurals and are in `_describe_days`.
SENTENCES: dict[str, LazyString] = {
    **dict.fromkeys(("equals", "in", "on", "is"), IS),
    **dict.fromkeys(("not_equals", "is_not"), IS_NOT),
    "contains": lazy_gettext("%(field)s contains “%(value)s”"),
    "not_contains": lazy_gettext("%(field)s does not contain “%(value)s”"),
    "starts_with": lazy_gettext("%(field)s starts with “%(value)s”"),
    "is_set": lazy_gettext("%(field)s is filled in"),
    "is_empty": lazy_gettext("%(field)s is empty"),
    "gt": lazy_gettext("%(field)s is more than %(value)s"),
    "gte": lazy_gettext("%(field)s is at least %(value)s"),
    "lt": lazy_gettext("%(field)s is less than %(value)s"),
    "lte": lazy_gettext("%(field)s is at most %(value)s"),
    "between": lazy_gettext("%(field)s is from %(low)s to %(high)s"),
    "before": lazy_gettext("%(field)s is before %(value)s"),
    "after": lazy_gettext("%(field)s is after %(value)s"),
    "received": lazy_gettext("Received %(value)s"),
    "not_received": lazy_gettext("Did not receive %(value)s"),
    "clicked": lazy_gettext("Clicked a link in %(value)s"),
    "not_clicked": lazy_gettext("Did not click in %(value)s"),
    "bounced": lazy_gettext("Bounced: %(value)s"),
    "not_bounced": lazy_gettext("Not bounced: %(value)s"),
}
TOPIC_SENTENCES = {
    "is": lazy_gettext("Gets emails about “%(value)s”"),
    "is_not": lazy_gettext("Does not get emails about “%(value)s”"),
}
OPPOSITES = NEGATIONS | {positive: negative for negative, positive in NEGATIONS.items()}


class Rule(StrEnum):
    """A rule for how many of a group's conditions must hold."""

    ALL = "all"
    ANY = "any"
    NONE = "none"
    NOT_ALL = "not-all"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One condition in words; `number` counts from 1 in reading order, as in errors about conditions."""

    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Sentences:
    """A group of conditions in words."""

    rule: Rule
    parts: tuple["Sentence | Sentences", ...]

    @property
    def title(self) -> str:
        """The heading that states how many of the conditions must hold."""
        titles = {
            Rule.ALL: _("All of these apply:"),
            Rule.ANY: _("At least one of these applies:"),
            Rule.NONE: _("None of these applies:"),
            Rule.NOT_ALL: _("At least one of these does not apply:"),
        }
        return str(titles[self.rule])

    @property
    def needs_title(self) -> bool:
        """Whether the sentences alone would be unclear."""
        return len(self.parts) > 1 or self.rule in (Rule.NONE, Rule.NOT_ALL)


def describe(node: Node, names: Mapping[int | str, str] | None = None) -> Sentences:
    """Return the conditions in words; `names` contains mailings' names by ID, and forms' names by UUID."""
    described = _Describer(names or {}).describe(node, is_negated=False)
    return described if isinstance(described, Sentences) else Sentences(Rule.ALL, (described,))


class _Describer:
    def __init__(self, names: Mapping[int | str, str]) -> None:
        self.names = names
        self.number = 0

    def describe(self, node: Node, *, is_negated: bool) -> Sentence | Sentences:
        match node:
            case Not():
                return self.describe(node.node, is_negated=not is_negated)
            case Group():
                rules = (Rule.NOT_ALL, Rule.NONE) if is_negated else (Rule.ALL, Rule.ANY)
                parts = tuple(self.describe(child, is_negated=False) for child in node.nodes)
                return Sentences(rules[0 if node.needs_all else 1], parts)
            case Leaf():
                self.number += 1
                has_opposite = node.op in OPPOSITES
                op = OPPOSITES[node.op] if is_negated and has_opposite else node.op
                sentence = Sentence(self.describe_leaf(node, op), self.number)
                return Sentences(Rule.NONE, (sentence,)) if is_negated and not has_opposite else sentence

    def describe_leaf(self, leaf: Leaf, op: str) -> str:
        field = name_field(leaf.field)
        if leaf.kind is Kind.PURCHASE:
            return _describe_purchases(leaf.value, is_negated=op in NEGATIONS)
        if op not in SENTENCES:
            return _describe_days(field, op, leaf.value)
        values = {"field": field, "value": ""}
        if op == "between":
            values["low"], values["high"] = (_write_value(leaf.kind, value) for value in leaf.value)
        elif leaf.kind is Kind.MAILING:
            values["value"] = self.name_mailings(leaf.value, is_negated=op in NEGATIONS)
        elif leaf.kind is Kind.FORM:
            values["value"] = self.names.get(leaf.value) or str(_("a deleted form"))
        elif leaf.value is not None:
            values["value"] = _write_value(leaf.kind, leaf.value)
        return str((TOPIC_SENTENCES if leaf.kind is Kind.TOPIC else SENTENCES)[op] % values)

    def name_mailings(self, value: int | tuple[str, int], *, is_negated: bool) -> str:
        if isinstance(value, int):
            name = self.names.get(value)
            return str(_("the mailing “%(name)s”", name=name) if name else _("a deleted mailing"))
        unit, number = value
        if unit == "last" and number == 1:
            text = _("the last mailing")
        elif unit == "last" and is_negated:
            text = ngettext("any of the last %(num)d mailing", "any of the last %(num)d mailings", number)
        elif unit == "last":
            text = ngettext("one of the last %(num)d mailing", "one of the last %(num)d mailings", number)
        elif is_negated:
            text = ngettext("any mailing of the last day", "any mailing of the last %(num)d days", number)
        else:
            text = ngettext("a mailing of the last day", "a mailing of the last %(num)d days", number)
        return str(text)


def _write_value(kind: Kind, value: Any) -> str:
    match kind:
        case Kind.NUMBER:
            return str(format_decimal(value))
        case Kind.DATE:
            return str(format_date(value, "d MMM y"))
        case Kind.YES_NO:
            return str(_("yes") if value else _("no"))
        case Kind.STATE:
            return name_state(value)
        case Kind.ACTIVITY:
            return name_activity(value)
    return join_values(value) if isinstance(value, tuple) else str(value)


def join_values(values: tuple[str, ...]) -> str:
    """Join values as in "Omsk, Tomsk or Tver"; if there are many, list only the first."""
    if len(values) > MAX_VALUES:
        return ", ".join(values[:MAX_VALUES]) + "…"
    return str(format_list(values, style="or", locale=get_locale()))


def _describe_purchases(days: int, *, is_negated: bool) -> str:
    if is_negated:
        text = ngettext(
            "Did not buy anything within the last day",
            "Did not buy anything within the last %(num)d days",
            days,
        )
    else:
        text = ngettext(
            "Bought something within the last day",
            "Bought something within the last %(num)d days",
            days,
        )
    return str(text)


def _describe_days(field: str, op: str, days: int) -> str:
    """Describe a date relative to today."""
    match op:
        case "older_than_days":
            text = ngettext(
                "%(field)s is more than %(num)d day ago",
                "%(field)s is more than %(num)d days ago",
                days,
                field=field,
            )
        case "anniversary_within_days" if days == 0:
            text = _("%(field)s comes up today", field=field)
        case "anniversary_within_days":
            text = ngettext(
                "%(field)s comes up within the next %(num)d day",
                "%(field)s comes up within the next %(num)d days",
                days,
                field=field,
            )
        case _ if days == 0:
            text = _("%(field)s is today", field=field)
        case "in_next_days":
            text = ngettext(
                "%(field)s is within the next %(num)d day",
                "%(field)s is within the next %(num)d days",
                days,
                field=field,
            )
        case _:
            text = ngettext(
                "%(field)s is within the last %(num)d day",
                "%(field)s is within the last %(num)d days",
                days,
                field=field,
            )
    return str(text)
