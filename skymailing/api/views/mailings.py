"""Mailings: list, read, set up, change and delete them."""

from dataclasses import replace
from typing import Any

from flask import abort, url_for

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.mailings import (
    MailingChange,
    MailingClientSchema,
    MailingQuery,
    MailingSchema,
    NewMailing,
)
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import (
    current_access,
    current_owner,
    require_live,
    require_scope,
    require_sending,
)
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.delivery.rendering.mime import clean_line
from skymailing.dispatch import dispatch_mailings
from skymailing.extensions import db
from skymailing.mailings import scheduling, services
from skymailing.mailings.caught import delete_caught
from skymailing.mailings.deletion import delete_mailing as delete_unsent
from skymailing.mailings.errors import InvalidMailing, MailingError
from skymailing.mailings.queries import select_mailings
from skymailing.mailings.saved_values import find_shown_audience, read_part_names, read_values
from skymailing.mailings.selection import Selection, select_selected
from skymailing.mailings.values import CONTENT_FIELDS, MailingValues
from skymailing.mailings.variants import VariantValues, read_all_variants
from skymailing.models import EVERY_DAY, Audience, Client, Mailing, MailingKind, MailingState
from skymailing.security import get_own
from skymailing.senders.queries import find_default_sender

bp = Resource("mailings", "Which message goes to whom, and when.")

SCHEMA = MailingSchema()
ONLY_FOR = {"include": Audience.SEGMENTS, "clients": Audience.SELECTED}
COPIED = [name for name in MailingSchema().fields if hasattr(Mailing, name)]


@bp.operation("GET /mailings", Scope.MAILINGS_READ, query=MailingQuery, gives=list_of(MailingSchema))
def list_mailings(query: dict[str, Any]) -> Any:
    """List mailings, oldest first: with a live key, real mailings; with a test key, those of test keys."""
    access = current_access()
    kind = MailingKind.MAILING if access.is_live else MailingKind.CAUGHT
    statement = select_mailings(access.owner_id, kind, query.get("q", ""), query.get("state"))
    listing = list_after(statement, [(Mailing.id, False)], query.get("after"), query["limit"])
    return page_of(listing, describe_mailings(listing.items))


@bp.operation("GET /mailings/<int:mailing_id>", Scope.MAILINGS_READ, gives=MailingSchema)
def get_mailing(mailing_id: int) -> Any:
    """Get a mailing."""
    return describe(find_readable(mailing_id))


@bp.operation(
    "POST /mailings", Scope.MAILINGS_WRITE, takes=NewMailing, gives=MailingSchema, status=201, tests=True
)
def create_mailing(values: dict[str, Any]) -> Any:
    """Set up a mailing.

    Unless it is a draft, it starts at its start time, or immediately if it has none, and the key also needs
    the scope mailings:send. With a test key, it starts immediately, and its emails are not sent.
    """
    is_draft, is_caught = values.pop("draft"), not current_access().is_live
    if not is_draft:
        require_scope(Scope.MAILINGS_SEND)
    now, owner = utcnow(), current_owner()
    sender = find_default_sender(owner.id)
    defaults = MailingValues(
        sender_id=sender.id if sender else None, sender_name="" if sender else owner.name
    )
    changed = read_changes(defaults, values)
    refuse_unused_choices(changed, values)
    mailing = services.create_mailing(owner, changed, now, is_draft=is_draft, is_caught=is_caught)
    mailing_id = mailing.id
    after_commit(lambda: dispatch_mailings([mailing_id], now))
    return describe(mailing), 201, {"Location": url_for("api_mailings.get_mailing", mailing_id=mailing_id)}


@bp.operation(
    "PATCH /mailings/<int:mailing_id>",
    Scope.MAILINGS_WRITE,
    takes=MailingChange,
    gives=MailingSchema,
    tests=True,
)
def update_mailing(values: dict[str, Any], mailing_id: int) -> Any:
    """Change some values of a mailing, for its future runs.

    A draft remains a draft unless `draft` is false. For other mailings, the key also needs the scope
    mailings:send.
    """
    mailing, now = find_own(mailing_id, to_change=True), utcnow()
    check_if_match(SCHEMA, describe(mailing))
    is_draft = values.pop("draft", True)
    if mailing.state is not MailingState.DRAFT or not is_draft:
        require_sending(mailing)
    saved = read_values(mailing)
    changed = read_changes(saved, values)
    refuse_unused_choices(changed, values)
    if scheduling.has_happened(mailing):
        refuse_changes_of_content(saved, changed, values)
    services.update_mailing(mailing, changed, now, is_draft=is_draft)
    db.session.flush()
    after_commit(lambda: dispatch_mailings([mailing_id], now))
    return describe(mailing)


@bp.operation("DELETE /mailings/<int:mailing_id>", Scope.MAILINGS_WRITE, status=204, tests=True)
def delete_mailing(mailing_id: int) -> Any:
    """Delete a mailing that has not run, or a finished mailing of test keys."""
    mailing = find_own(mailing_id, to_change=True)
    check_if_match(SCHEMA, describe(mailing))
    if mailing.is_caught:
        delete_caught(mailing)
        return "", 204
    delete_unsent(mailing, utcnow(), current_actor())
    return "", 204


@bp.operation(
    "GET /mailings/<int:mailing_id>/clients",
    Scope.MAILINGS_READ,
    query=PageQuery,
    gives=list_of(MailingClientSchema),
)
def list_mailing_clients(query: dict[str, Any], mailing_id: int) -> Any:
    """List the clients who are selected for a mailing with the audience “selected”."""
    statement = select_selected(find_own(mailing_id).id)
    return page_of(list_after(statement, [(Client.id, False)], query.get("after"), query["limit"]))


def find_own(mailing_id: int, *, to_change: bool = False) -> Mailing:
    """Return the owner's mailing, or abort with 404.

    With `to_change`, it is locked; raises ApiError if a test key is used for a real mailing.
    """
    mailing = find_readable(mailing_id)
    if mailing.kind == MailingKind.SEQUENCE:
        abort(404)
    if to_change:
        require_live(mailing)
        services.lock_mailing(mailing)
    return mailing


def find_readable(mailing_id: int) -> Mailing:
    """Return the owner's mailing, or abort with 404.

    It may also be the mailing that contains the letters of a sequence's step, which only the sequence
    changes.
    """
    mailing = get_own(Mailing, mailing_id)
    if mailing.is_transactional:
        abort(404)
    return mailing


def read_changes(saved: MailingValues, values: dict[str, Any]) -> MailingValues:
    """Return the values with the given changes."""
    changes = dict(values)
    if "clients" in changes:
        changes["clients"] = Selection.of(changes["clients"])
    for name in ("weekdays", "repeat_weekdays"):
        if name in changes:
            changes[name] = "".join(map(str, sorted(set(changes[name]))))
    if "variants" in changes:
        changes["variants"] = tuple(read_variant(variant) for variant in changes["variants"])
    for name in ("include", "exclude"):
        if name in changes:
            changes[name] = tuple(changes[name])
    return replace(saved, **changes)


def read_variant(values: dict[str, Any]) -> VariantValues:
    """Return a variant, cleaned as in the form."""
    return VariantValues(clean_line(values["subject"]), values["sender_name"].strip(), values["message_id"])


def refuse_changes_of_content(saved: MailingValues, changed: MailingValues, given: dict[str, Any]) -> None:
    """Raise InvalidMailing if the content of a mailing that has been sent would change."""
    names = [name for name in given if name in CONTENT_FIELDS]
    errors = {
        name: MailingError("mailing_sent") for name in names if getattr(saved, name) != getattr(changed, name)
    }
    if errors:
        raise InvalidMailing(errors)


def refuse_unused_choices(changed: MailingValues, given: dict[str, Any]) -> None:
    """Raise InvalidMailing for a choice of clients that the audience would ignore.

    Otherwise, a program that forgets the audience would send the mailing to all clients.
    """
    errors: dict[str, MailingError] = {}
    for name, audience in ONLY_FOR.items():
        if given.get(name) and changed.audience is not audience:
            errors[name] = MailingError("mailing_other_audience", audience=audience.value)
    if given.get("exclude") and changed.audience is Audience.SELECTED:
        errors["exclude"] = MailingError("mailing_not_this_audience", audience=changed.audience.value)
    if errors:
        raise InvalidMailing(errors)


def describe(mailing: Mailing) -> dict[str, Any]:
    return describe_mailings([mailing])[0]


def describe_mailings(mailings: list[Mailing]) -> list[dict[str, Any]]:
    """Return mailings with their segments and tags, for the schema."""
    ids = [mailing.id for mailing in mailings]
    parts = read_part_names(ids) if ids else {}
    variants = read_all_variants(ids) if ids else {}
    return [
        {name: getattr(mailing, name) for name in COPIED}
        | {
            "audience": find_shown_audience(mailing).value,
            "repeat_weekdays": [int(day) for day in mailing.repeat_weekdays],
            "weekdays": [] if mailing.weekdays == EVERY_DAY else [int(day) for day in mailing.weekdays],
            "include": list(parts.get(mailing.id, ((), ()))[0]),
            "exclude": list(parts.get(mailing.id, ((), ()))[1]),
            "variants": variants.get(mailing.id, ()),
            "test": mailing.is_caught,
        }
        for mailing in mailings
    ]
