"""Create and update clients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from skymailing.clients.cleaning import clean_attributes, clean_comment, clean_name
from skymailing.clients.consents import Evidence, mark_orphaned, record
from skymailing.clients.tags import TagChanges, change_tags
from skymailing.clients.time_zones import clean_timezone
from skymailing.clients.topic_choices import copy_choices
from skymailing.clock import utcnow
from skymailing.email_addresses import address_key, parse_recipient
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, ConsentKind, Origin
from skymailing.quotas.checks import require_room, select_clients
from skymailing.settings.quotas import quota_settings


class DuplicateClient(UserError):
    """The owner already has a client with this address."""

    def __init__(self) -> None:
        super().__init__("client_duplicate")


@dataclass(frozen=True, slots=True)
class ClientValues:
    """A client's values as entered."""

    email: str
    full_name: str = ""
    comment: str = ""
    timezone: str = ""  # empty: that of the owner
    attributes: Sequence[tuple[str, str]] = ()
    tags: TagChanges = field(default_factory=TagChanges)

    @classmethod
    def of(cls, client: Client) -> "ClientValues":
        """Return the present values of a client, without changes of tags."""
        attributes = list(client.attributes.items())
        return cls(client.email, client.full_name, client.comment, client.timezone, attributes)


def create_client(owner_id: int, values: ClientValues, origin: Origin = Origin.HAND) -> Client:
    """Create a client and return it.

    Raises InvalidEmail, InvalidValue, InvalidTag, DuplicateClient or LimitReached.
    """
    require_room("client_limit", select_clients(owner_id), quota_settings().clients)
    client = Client(owner_id=owner_id, origin=origin)
    with reject_duplicates():
        assign_values(client, values)
        db.session.add(client)
        db.session.flush()
        change_tags(client, values.tags)
    return client


def update_client(client: Client, values: ClientValues) -> None:
    """Update a client; raises InvalidEmail, InvalidValue, InvalidTag or DuplicateClient."""
    old_key = client.email_key
    with reject_duplicates():
        assign_values(client, values)
        change_tags(client, values.tags)
    if client.email_key != old_key:
        now = utcnow()
        mark_orphaned(client.owner_id, [old_key], now)
        change = Evidence(previous_key=old_key)
        record(client.owner_id, client.email_key, ConsentKind.CHANGED, now, change)
        copy_choices(client.owner_id, old_key, client.email_key)


def assign_values(client: Client, values: ClientValues) -> None:
    email = parse_recipient(values.email)
    full_name, comment = clean_name(values.full_name), clean_comment(values.comment)
    timezone, attributes = clean_timezone(values.timezone), clean_attributes(values.attributes)
    client.email, client.email_key = email, address_key(email)
    client.full_name, client.comment, client.timezone = full_name, comment, timezone
    client.attributes = attributes


@contextmanager
def reject_duplicates() -> Iterator[None]:
    """Flush the changes made inside the block; if the address exists, undo them and raise DuplicateClient."""
    try:
        with db.session.begin_nested():
            yield
    except IntegrityError as error:
        # Two concurrent requests may both find no such client; only the unique key prevents a duplicate.
        if "email_key" in str(error.orig):
            raise DuplicateClient from error
        raise
