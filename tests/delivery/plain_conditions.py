"""Evaluate the conditions of a segment in plain Python, for comparison with the databases' results."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from skymailing.delivery.rendering.values import NO, YES, ValueFormats

OPPOSITES = {
    "not_equals": "equals",
    "not_contains": "contains",
    "is_not": "is",
    "is_empty": "is_set",
    "not_received": "received",
    "not_clicked": "clicked",
    "not_bounced": "bounced",
    "not_bought": "bought",
}

# Outcomes of letters that were sent: without a click, with a person's, or only with a scanner's.
SENT = ("sent", "clicked", "scanned")


@dataclass
class Person:
    """The data of a client."""

    email: str
    full_name: str
    comment: str
    timezone: str
    attributes: dict[str, str]
    added_at: datetime
    tags: set[str]
    forms: set[str]
    suppression: str | None
    topics: set[str]  # subscribed
    outcomes: list[tuple[int, datetime, str]] = field(default_factory=list)  # mailing, run's start, state
    purchases: list[datetime] = field(default_factory=list)


@dataclass
class PlainEvaluator:
    """Evaluates conditions for one owner at one point in time."""

    formats: ValueFormats
    zone: ZoneInfo
    now: datetime
    latest: list[int] = field(default_factory=list)  # the owner's mailings, the latest run first

    def holds(self, node: dict[str, Any], person: Person) -> bool:
        if "all" in node:
            return all(self.holds(child, person) for child in node["all"])
        if "any" in node:
            return any(self.holds(child, person) for child in node["any"])
        if "not" in node:
            return not self.holds(node["not"], person)
        if node["op"] in OPPOSITES:
            return not self.holds(node | {"op": OPPOSITES[node["op"]]}, person)
        return self.holds_leaf(node["field"], node["op"], node.get("value"), person)

    def holds_leaf(self, name: str, op: str, value: Any, person: Person) -> bool:
        if name == "tag":
            return str(value).lower() in {tag.lower() for tag in person.tags}
        if name == "form":
            return value in person.forms
        if name == "topic":
            return str(value).lower() in {topic.lower() for topic in person.topics}
        if name == "state":
            if value == "mailable":
                return person.suppression is None
            return person.suppression is not None and value in ("suppressed", person.suppression)
        if name == "mailing":
            return self.has_outcome(op, value, person)
        if name == "purchase":
            return any(at >= self.now - timedelta(days=value) for at in person.purchases)
        if name == "added_at":
            return self.compare_dates(person.added_at.astimezone(self.zone).date(), op, value)
        if name.startswith("attribute."):
            return self.compare_attribute(name.removeprefix("attribute."), op, value, person)
        texts = {"domain": person.email.partition("@")[2], "full_name": person.full_name}
        texts |= {"email": person.email, "comment": person.comment, "timezone": person.timezone}
        return compare_text(texts[name], op, value)

    def has_outcome(self, op: str, value: Any, person: Person) -> bool:
        def is_selected(mailing: int, started: datetime) -> bool:
            if isinstance(value, int):
                return mailing == value
            if "last" in value:
                return mailing in self.latest[: value["last"]]
            return started >= self.now - timedelta(days=value["days"])

        wanted = {"received": SENT, "clicked": ("clicked",), "bounced": ("failed",)}[op]
        return any(
            state in wanted and is_selected(mailing, started) for mailing, started, state in person.outcomes
        )

    def compare_attribute(self, key: str, op: str, value: Any, person: Person) -> bool:
        text = person.attributes.get(key, "")
        kind = self.formats.types.get(key, "text")
        if kind == "number":
            return compare_numbers(self.formats.parse_number(text), op, value)
        if kind == "date":
            found = self.formats.parse_date(text)
            return self.compare_dates(found.date() if found else None, op, value)
        if kind == "yes_no":
            word = text.lower().strip()
            is_yes = True if word in YES else False if word in NO else None
            return (is_yes is not None) if op == "is_set" else bool(is_yes is value)
        return compare_text(text, op, value)

    def compare_dates(self, day: date | None, op: str, value: Any) -> bool:
        if day is None:
            return False
        today = self.now.astimezone(self.zone).date()
        days = timedelta(days=value) if isinstance(value, int) else timedelta()
        match op:
            case "is_set":
                return True
            case "on":
                return day == date.fromisoformat(value)
            case "before":
                return day < date.fromisoformat(value)
            case "after":
                return day > date.fromisoformat(value)
            case "between":
                return date.fromisoformat(value[0]) <= day <= date.fromisoformat(value[1])
            case "within_days":
                return today - days <= day <= today
            case "older_than_days":
                return day < today - days
            case "in_next_days":
                return today <= day <= today + days
        return any(has_anniversary(day, today + timedelta(days=number)) for number in range(value + 1))


def has_anniversary(day: date, on: date) -> bool:
    is_leap = on.year % 4 == 0 and (on.year % 100 != 0 or on.year % 400 == 0)
    if (day.month, day.day) == (2, 29) and not is_leap:
        return (on.month, on.day) == (2, 28)
    return (day.month, day.day) == (on.month, on.day)


def compare_text(text: str, op: str, value: Any) -> bool:
    text = text.lower()
    match op:
        case "is_set":
            return text != ""
        case "equals":
            return bool(text == value.lower())
        case "contains":
            return text != "" and value.lower() in text
        case "starts_with":
            return text.startswith(value.lower())
    return text in [item.lower() for item in value]


def compare_numbers(number: float | None, op: str, value: Any) -> bool:
    if number is None:
        return False
    if op == "is_set":
        return True
    low, high = value if op == "between" else (value, value)
    results: dict[str, bool] = {
        "equals": number == low,
        "gt": number > low,
        "gte": number >= low,
        "lt": number < low,
        "lte": number <= low,
        "between": low <= number <= high,
    }
    return results[op]
