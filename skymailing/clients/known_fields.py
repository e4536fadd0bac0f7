"""The custom fields that an owner's clients have, and how many of the newest clients have each.

Only a sample is read, so this takes no longer with a million clients.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Client, User

SAMPLE = 200  # newest clients


@dataclass(frozen=True, slots=True)
class KnownFields:
    """The fields of a sample of clients: an example and the number of clients for each, most used first."""

    examples: dict[str, str]
    uses: dict[str, int]
    sampled: int

    def list_common(self, share: float, limit: int) -> list[str]:
        """Return the fields that at least this share of the clients has, most used first."""
        enough = max(1.0, share * self.sampled)
        return [name for name, count in self.uses.items() if count >= enough][:limit]


def read_known_fields(owner_id: int) -> KnownFields:
    """Read the fields of the owner's newest clients."""
    newest = select(Client.attributes).where(Client.owner_id == owner_id).order_by(Client.id.desc())
    examples: dict[str, str] = {}
    uses: Counter[str] = Counter()
    sampled = 0
    for attributes in db.session.scalars(newest.limit(SAMPLE)):
        filled = {name: str(value) for name, value in attributes.items() if value}
        uses.update(filled.keys())
        examples = filled | examples
        sampled += 1
    ordered = sorted(uses.items(), key=lambda item: (-item[1], item[0]))
    return KnownFields(examples, dict(ordered), sampled)


def list_known_attributes(owner_id: int) -> dict[str, str]:
    """Return the names of the newest clients' attributes, each with an example."""
    return read_known_fields(owner_id).examples


def order_values(client: Client, fields: Sequence[str]) -> dict[str, str]:
    """Return a client's attributes in the order of these fields, as in the form of a new client."""
    positions = {name: position for position, name in enumerate(fields)}
    known = sorted(client.attributes, key=lambda name: positions.get(name, len(positions)))
    return {name: client.attributes[name] for name in known}


def suggest_fields(owner: User) -> list[str]:
    """Return the fields to suggest in forms, most used first, then those that only older clients have."""
    uses = read_known_fields(owner.id).uses
    return [*uses, *sorted(owner.attribute_types.keys() - uses.keys())]
