"""Select the times of each kind of event of a client, from tables that serve other purposes.

Several tables can record one event: unsubscribing adds an opt-out, a withdrawn consent and a suppression.
The timeline shows it once, from the table with the most details.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    String,
    cast,
    exists,
    func,
    literal,
    select,
    type_coerce,
)

from skymailing.clients.timeline.kinds import LINKS_PER_LETTER, EventKind
from skymailing.db.text_search import is_sqlite
from skymailing.models import (
    CAUGHT_KINDS,
    Bounce,
    BounceKind,
    Click,
    Client,
    ClientNote,
    Consent,
    ConsentKind,
    ConsentPurpose,
    Delivery,
    Engagement,
    Enrolment,
    Mailing,
    MergedAddress,
    OptOut,
    Proof,
    Purchase,
    Run,
    Sequence,
    Suppression,
    SuppressionReason,
    TopicChoice,
    TransactionalLetter,
)
from skymailing.models.types import UTCDateTime
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR

Condition = ColumnElement[bool]


def select_events(client: Client, kinds: Iterable[EventKind]) -> list[Select[Any]]:
    """Return a statement for each kind, with the columns `at`, `kind` and `ref`."""
    letters = _find_letters(client)
    return [
        LETTER_SOURCES[kind](letters) if kind in LETTER_SOURCES else SOURCES[kind](client) for kind in kinds
    ]


def _find_letters(client: Client) -> CTE:
    """Return the client's letters of mailings and sequences, which several sources read."""
    at = func.coalesce(Delivery.finished_at, Run.started_at).label("at")
    joined = select(Delivery.id, at).join(Run, Run.id == Delivery.run_id).join(Run.mailing)
    # Deliveries have no foreign key to clients, so check the owner, too.
    own = (Delivery.client_id == client.id) & (Mailing.owner_id == client.owner_id)
    return joined.where(own, Mailing.kind.not_in(CAUGHT_KINDS)).cte("letters")


def _select(kind: EventKind, at: Any, ref: Any) -> Select[Any]:
    return select(at.label("at"), literal(kind.value).label("kind"), cast(ref, BigInteger).label("ref"))


def _is_at_address(model: Any, client: Client) -> Condition:
    """Return the condition for rows that belong to the client's address, not to the client."""
    same: Condition = (model.owner_id == client.owner_id) & (model.email_key == client.email_key)
    return same


def _from_milliseconds(column: Any) -> ColumnElement[Any]:
    """Return a time that is stored in milliseconds, in the format of other times."""
    seconds = column / 1000.0
    if is_sqlite():
        text = func.strftime("%Y-%m-%d %H:%M:%f", seconds, "unixepoch", type_=String)
        return type_coerce(text + "000", UTCDateTime)
    return func.to_timestamp(seconds, type_=UTCDateTime)


def _select_added(client: Client) -> Select[Any]:
    return _select(EventKind.ADDED, Client.created_at, Client.id).where(Client.id == client.id)


def _select_letters(letters: CTE) -> Select[Any]:
    return _select(EventKind.LETTER, letters.c.at, letters.c.id)


def _select_transactional(client: Client) -> Select[Any]:
    at = func.coalesce(Delivery.finished_at, TransactionalLetter.created_at)
    letters = _select(EventKind.TRANSACTIONAL, at, TransactionalLetter.delivery_id)
    letters = letters.join(Delivery, Delivery.id == TransactionalLetter.delivery_id)
    is_sent = TransactionalLetter.is_caught.is_(False)
    return letters.where(_is_at_address(TransactionalLetter, client), is_sent)


def _select_clicks(letters: CTE) -> Select[Any]:
    ref = cast(Click.delivery_id, BigInteger) * LINKS_PER_LETTER + Click.number
    clicks = _select(EventKind.CLICK, _from_milliseconds(Click.first_at), ref)
    return clicks.join(letters, letters.c.id == Click.delivery_id).where(Click.clicks > 0)


def _select_opens(letters: CTE) -> Select[Any]:
    opens = _select(EventKind.OPEN, _from_milliseconds(Engagement.last_open_at), Engagement.delivery_id)
    opens = opens.join(letters, letters.c.id == Engagement.delivery_id)
    return opens.where(Engagement.last_open_at.is_not(None))


def _select_purchases(client: Client) -> Select[Any]:
    own = (Purchase.client_id == client.id) & (Purchase.owner_id == client.owner_id)
    return _select(EventKind.PURCHASE, Purchase.purchased_at, Purchase.id).where(own)


def _select_bounces(client: Client) -> Select[Any]:
    bounces = _select(EventKind.BOUNCE, Bounce.received_at, Bounce.id)
    return bounces.where(_is_at_address(Bounce, client), Bounce.proof != Proof.DISMISSED)


def _select_consents(client: Client) -> Select[Any]:
    """Select a person's consents, except those that were recorded for an opt-out or a complaint."""
    about_everything = _is_at_address(OptOut, client) & OptOut.topic_id.is_(None)
    is_opt_out = exists().where(about_everything, OptOut.at == Consent.at).correlate(Consent)
    is_undo = exists().where(about_everything, OptOut.undone_at == Consent.at).correlate(Consent)
    is_known = (
        ((Consent.kind == ConsentKind.WITHDRAWN) & is_opt_out)
        | ((Consent.kind == ConsentKind.RESUMED) & is_undo)
        | ((Consent.kind == ConsentKind.OBJECTED) & _has_bounced(client, BounceKind.COMPLAINT))
    )
    is_repeated = (Consent.purpose == ConsentPurpose.LETTERS) & is_known
    # Imports of earlier versions stored times that some time zones do not have, such as the year 1.
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in (FIRST_YEAR, LAST_YEAR))
    consents = _select(EventKind.CONSENT, Consent.at, Consent.id)
    return consents.where(_is_at_address(Consent, client), Consent.at.between(first, last), ~is_repeated)


def _has_bounced(client: Client, *kinds: BounceKind) -> Condition:
    same = _is_at_address(Bounce, client) & (Bounce.proof != Proof.DISMISSED)
    return exists().where(same, Bounce.kind.in_(kinds))


def _select_opt_outs(client: Client) -> Select[Any]:
    return _select(EventKind.OPT_OUT, OptOut.at, OptOut.id).where(_is_at_address(OptOut, client))


def _select_undone(client: Client) -> Select[Any]:
    undone = _select(EventKind.OPT_OUT_UNDONE, OptOut.undone_at, OptOut.id)
    return undone.where(_is_at_address(OptOut, client), OptOut.undone_at.is_not(None))


def _select_topics(client: Client) -> Select[Any]:
    """Select each topic's latest choice, except opting out through a link in a letter."""
    left = _is_at_address(OptOut, client) & (OptOut.topic_id == TopicChoice.topic_id)
    is_opt_out = exists().where(left, OptOut.at == TopicChoice.changed_at).correlate(TopicChoice)
    choices = _select(EventKind.TOPIC, TopicChoice.changed_at, TopicChoice.topic_id)
    return choices.where(_is_at_address(TopicChoice, client), ~is_opt_out)


def _select_suppressions(client: Client) -> Select[Any]:
    """Select the address's suppression, unless another event of the timeline explains it.

    No other event explains it if the owner added it, or if the address of a merged client opted out.
    """
    withdrawals = (ConsentKind.WITHDRAWN, ConsentKind.OBJECTED)
    same = _is_at_address(Consent, client) & Consent.kind.in_(withdrawals)
    is_withdrawn = exists().where(same, Consent.at == Suppression.created_at).correlate(Suppression)
    is_opt_out = exists().where(_is_at_address(OptOut, client), OptOut.at == Suppression.created_at)
    is_bounced = Suppression.reason == SuppressionReason.BOUNCED
    is_known = is_withdrawn | is_opt_out.correlate(Suppression)
    is_known |= is_bounced & _has_bounced(client, BounceKind.HARD, BounceKind.SOFT)
    suppressions = _select(EventKind.SUPPRESSED, Suppression.created_at, Suppression.id)
    return suppressions.where(_is_at_address(Suppression, client), ~is_known)


def _select_merges(client: Client) -> Select[Any]:
    merges = _select(EventKind.MERGED, MergedAddress.created_at, MergedAddress.id)
    into_client = MergedAddress.kept_key == client.email_key
    return merges.where(MergedAddress.owner_id == client.owner_id, into_client)


def _select_notes(client: Client) -> Select[Any]:
    own = (ClientNote.client_id == client.id) & ClientNote.deleted_at.is_(None)
    return _select(EventKind.NOTE, ClientNote.created_at, ClientNote.id).where(own)


def _of_sequences(statement: Select[Any], client: Client) -> Select[Any]:
    own = Sequence.owner_id == client.owner_id
    joined = statement.join(Sequence, Sequence.id == Enrolment.sequence_id)
    return joined.where(Enrolment.client_id == client.id, own)


def _select_entries(client: Client) -> Select[Any]:
    return _of_sequences(_select(EventKind.ENTERED, Enrolment.entered_at, Enrolment.id), client)


def _select_ends(client: Client) -> Select[Any]:
    ended = _of_sequences(_select(EventKind.LEFT, Enrolment.ended_at, Enrolment.id), client)
    return ended.where(Enrolment.ended_at.is_not(None))


SOURCES: dict[EventKind, Callable[[Client], Select[Any]]] = {
    EventKind.ADDED: _select_added,
    EventKind.BOUNCE: _select_bounces,
    EventKind.CONSENT: _select_consents,
    EventKind.ENTERED: _select_entries,
    EventKind.LEFT: _select_ends,
    EventKind.MERGED: _select_merges,
    EventKind.NOTE: _select_notes,
    EventKind.OPT_OUT: _select_opt_outs,
    EventKind.OPT_OUT_UNDONE: _select_undone,
    EventKind.PURCHASE: _select_purchases,
    EventKind.SUPPRESSED: _select_suppressions,
    EventKind.TOPIC: _select_topics,
    EventKind.TRANSACTIONAL: _select_transactional,
}
LETTER_SOURCES: dict[EventKind, Callable[[CTE], Select[Any]]] = {
    EventKind.CLICK: _select_clicks,
    EventKind.LETTER: _select_letters,
    EventKind.OPEN: _select_opens,
}
