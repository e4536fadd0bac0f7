"""The scopes of API keys: what a key may do. The form, the documentation and the tests use this table."""

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l


class Scope(StrEnum):
    CLIENTS_READ = "clients:read"
    CLIENTS_WRITE = "clients:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    MAILINGS_READ = "mailings:read"
    MAILINGS_WRITE = "mailings:write"
    MAILINGS_SEND = "mailings:send"
    FORMS_READ = "forms:read"
    REPORTS_READ = "reports:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    LETTERS_READ = "letters:read"
    LETTERS_SEND = "letters:send"
    PURCHASES_READ = "purchases:read"
    PURCHASES_WRITE = "purchases:write"


SCOPE_LABELS: dict[Scope, Any] = {
    Scope.CLIENTS_READ: _l("Read clients, tags, segments, topics and suppressions"),
    Scope.CLIENTS_WRITE: _l("Change and import clients, tags, segments, topics and suppressions"),
    Scope.MESSAGES_READ: _l("Read messages"),
    Scope.MESSAGES_WRITE: _l("Change messages"),
    Scope.MAILINGS_READ: _l("Read mailings and senders"),
    Scope.MAILINGS_WRITE: _l("Change, pause and cancel mailings"),
    Scope.MAILINGS_SEND: _l("Start and resume mailings"),
    Scope.FORMS_READ: _l("Read sign-up forms and requests to subscribe"),
    Scope.REPORTS_READ: _l("Read runs, their log, test emails, returned mail and reports"),
    Scope.WEBHOOKS_READ: _l("Read webhooks and their log"),
    Scope.WEBHOOKS_WRITE: _l("Change and test webhooks"),
    Scope.LETTERS_READ: _l("Read transactional emails"),
    Scope.LETTERS_SEND: _l("Send transactional emails"),
    Scope.PURCHASES_READ: _l("Read purchases"),
    Scope.PURCHASES_WRITE: _l("Report purchases"),
}


def name_scope(scope: Scope) -> Any:
    """Return what a scope allows, and its name in the API."""
    return LazyString(lambda: f"{SCOPE_LABELS[scope]} ({scope.value})")


def clean_scopes(chosen: Collection[str]) -> list[str]:
    """Return the chosen scopes in the order of the table; an empty list if all or none are chosen."""
    scopes = [scope.value for scope in Scope if scope in chosen]
    return [] if len(scopes) == len(Scope) else scopes


def allows(scopes: Collection[str], scope: Scope) -> bool:
    """Return whether a key with these scopes has `scope`; a key without scopes has all of them."""
    return not scopes or scope in scopes
