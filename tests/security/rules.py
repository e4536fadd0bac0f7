"""Define who sends requests, their outcomes, and the rules that limit a route to some people."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from skymailing.models import Role, User

PUBLIC = "anyone"
PRIVATE = "signed-in users, about their own objects"


class Person(StrEnum):
    """The kind of person who sends a request."""

    VISITOR = "visitor"
    UNCONFIRMED = "unconfirmed"
    BLOCKED = "blocked"
    OWNER = "owner"
    OTHER = "other"
    MANAGER = "manager"
    CONTENT = "content"
    ADMIN = "admin"

    @property
    def role(self) -> Role:
        is_role = self in (Person.MANAGER, Person.CONTENT, Person.ADMIN)
        return Role(self.value) if is_role else Role.USER

    @property
    def owns(self) -> bool:
        """Return whether the requested objects belong to this person."""
        return self in (Person.UNCONFIRMED, Person.BLOCKED, Person.OWNER)


class Outcome(StrEnum):
    """The result of a request."""

    OPEN = "open"  # any response from the page itself, including form errors
    LOGIN = "login"
    FORBIDDEN = "403"
    MISSING = "404"


@dataclass(frozen=True)
class Own:
    """Access rule for a page about one object, limited to its owner; `make` creates such an object."""

    argument: str
    make: Callable[[User], Any]


@dataclass(frozen=True)
class OwnInPanel(Own):
    """Access rule for a panel page about one object of a content manager, limited to that person."""


@dataclass(frozen=True)
class Panel:
    """Access rule for a panel page, limited to some roles.

    If `argument` is set, the page shows one object, which may belong to any user.
    """

    roles: frozenset[Role]
    argument: str = ""
    make: Callable[[User], Any] | None = None


def list_page_rules(app: Flask) -> Iterator[Rule]:
    """Yield the routes of pages: all but the operations of the API, whose matrix is in tests/api."""
    for rule in app.url_map.iter_rules():
        if not hasattr(app.view_functions[rule.endpoint], "scope"):
            yield rule
