"""Define the kinds of people who send requests, and what they can get."""

from enum import StrEnum

from skymailing.models import Role


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
