"""The pages that the command palette offers."""

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

from skymailing.models import Role, User

STAFF = frozenset({Role.MANAGER, Role.CONTENT, Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Place:
    """A page, with other words under which people look for it."""

    endpoint: str
    label: Any
    icon: str
    words: Any = ""
    staff_only: bool = False

    def matches(self, words: list[str]) -> bool:
        """Return whether each word begins one of the page's own or other words."""
        known = f"{self.label} {self.words}".lower().split()
        return all(any(label.startswith(word) for label in known) for word in words)


PLACES = (
    Place("home.index", _l("Start page"), "house", _l("home overview")),
    Place("clients.index", _l("Clients"), "people", _l("contacts subscribers addresses list")),
    Place("clients.new", _l("New client"), "plus-lg", _l("add contact")),
    Place("clients.import_new", _l("Import clients"), "upload", _l("upload CSV Excel file")),
    Place("segments.index", _l("Segments"), "funnel", _l("conditions audience")),
    Place("clients.tags", _l("Tags"), "tag", _l("labels groups")),
    Place("topics.index", _l("Topics"), "list", _l("subscriptions preferences")),
    Place("forms.index", _l("Sign-up forms"), "envelope", _l("subscribe website")),
    Place("clients.suppressions", _l("Do not email"), "slash-circle", _l("unsubscribed bounced blocked")),
    Place("messages.index", _l("Messages"), "envelope-paper", _l("emails letters templates")),
    Place("messages.new", _l("New message"), "plus-lg", _l("write email letter")),
    Place("messages.list_layouts", _l("Layouts"), "grid-1x2", _l("frames design")),
    Place("mailings.index", _l("Mailings"), "send", _l("campaigns newsletters")),
    Place("mailings.new", _l("New mailing"), "plus-lg", _l("send campaign newsletter")),
    Place("sequences.index", _l("Sequences"), "lightning-charge", _l("automation welcome birthday")),
    Place("reports.index", _l("Reports"), "bar-chart", _l("statistics results clicks opens")),
    Place("logs.index", _l("Log"), "journal-text", _l("attempts deliveries errors")),
    Place("returns.index", _l("Returned emails"), "arrow-counterclockwise", _l("bounces complaints")),
    Place("transactional.index", _l("Transactional emails"), "envelope-paper", _l("receipts programs")),
    Place("senders.index", _l("Senders"), "person-circle", _l("from address name")),
    Place("domains.new", _l("New domain"), "shield-check", "DKIM SPF DMARC DNS"),
    Place("servers.index", _l("Mail servers"), "send", "SMTP"),
    Place("brand.edit", _l("Brand"), "pencil", _l("logo colours font")),
    Place("webhooks.index", _l("Webhooks"), "send", _l("events programs")),
    Place("auth.api_keys", _l("API keys"), "gear", _l("programs REST")),
    Place("api_docs.index", _l("API documentation"), "file-earmark-text", _l("programs REST")),
    Place("auth.profile", _l("Profile"), "gear", _l("account password language time zone")),
    Place("help.index", _l("Help"), "question-circle", _l("questions answers how to")),
    Place("manager.index", _l("Panel"), "shield-check", _l("managers users"), staff_only=True),
)


def find_places(user: User, words: list[str]) -> list[Place]:
    """Return the pages that the user may open and that match all words."""
    is_staff = user.role in STAFF
    return [place for place in PLACES if (is_staff or not place.staff_only) and place.matches(words)]
