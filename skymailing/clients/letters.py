"""The letters of one client, and why the client gets them."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select

from skymailing.db.pagination import Order
from skymailing.models import Audience, Client, Delivery, Mailing, Run

LETTER_ORDER: Order = [(Delivery.id, True)]
LETTERS_PER_PAGE = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """Whom a run was for when it was planned; the parts are in words."""

    audience: Audience
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)


def list_letters(client: Client) -> Select[Any]:
    """Return a statement for (Delivery, Run, Mailing) rows: all letters to a client that are still kept."""
    return (
        select(Delivery, Run, Mailing)
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(Delivery.client_id == client.id, Mailing.owner_id == client.owner_id)
    )


def explain_run(run: Run) -> Reason | None:
    """Return why clients are in a run, as recorded when it was planned; None if it was not recorded."""
    kept = run.audience
    if kept is None or kept.get("audience") not in set(Audience):
        return None
    include, exclude = (
        [describe_part(part) for part in kept.get(name, [])] for name in ("include", "exclude")
    )
    return Reason(Audience(kept["audience"]), include, exclude)


def describe_part(part: dict[str, Any]) -> str:
    """Return a segment or tag of `Run.audience` in words: its name at that time.

    A segment also has its `conditions` as they were, which could be said here.
    """
    return f"“{part['name']}”"
