"""Tags: list, read, rename and delete them. Adding one to a client creates it."""

from typing import Any

from flask import abort, url_for
from sqlalchemy import Row

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.clients import TagInput, TagSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clients import tag_changes
from skymailing.clients.tags import clean_tag, find_counted_tag, find_or_create_tags, find_tag, select_tags
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.models import Tag
from skymailing.security import get_own

bp = Resource("tags", "Labels of clients.")

SCHEMA = TagSchema()


@bp.operation("GET /tags", Scope.CLIENTS_READ, query=PageQuery, gives=list_of(TagSchema))
def list_tags(query: dict[str, Any]) -> Any:
    """List tags, by name."""
    listing = list_after(
        select_tags(current_access().owner_id), [(Tag.name_key, False)], query.get("after"), query["limit"]
    )
    return page_of(listing, [describe(row) for row in listing.items])


@bp.operation("GET /tags/<int:tag_id>", Scope.CLIENTS_READ, gives=TagSchema)
def get_tag(tag_id: int) -> Any:
    """Get a tag."""
    return find_own(tag_id)[1]


@bp.operation("POST /tags", Scope.CLIENTS_WRITE, takes=TagInput, gives=TagSchema, status=201)
def create_tag(values: dict[str, str]) -> Any:
    """Add a tag."""
    name = clean_tag(values["name"])
    if not name:
        raise UserError("tag_nameless")
    owner_id = current_access().owner_id
    if find_tag(owner_id, name) is not None:
        raise tag_changes.TagExists(name)
    (tag_id,) = find_or_create_tags(owner_id, [name]).values()
    location = url_for("api_tags.get_tag", tag_id=tag_id)
    return find_own(tag_id)[1], 201, {"Location": location}


@bp.operation("PATCH /tags/<int:tag_id>", Scope.CLIENTS_WRITE, takes=TagInput, gives=TagSchema)
def rename_tag(values: dict[str, str], tag_id: int) -> Any:
    """Rename a tag, also in segments."""
    tag, described = find_own(tag_id, to_change=True)
    check_if_match(SCHEMA, described)
    tag_changes.rename_tag(tag, values["name"], current_actor())
    return find_own(tag_id)[1]


@bp.operation("DELETE /tags/<int:tag_id>", Scope.CLIENTS_WRITE, status=204)
def delete_tag(tag_id: int) -> Any:
    """Delete a tag, and remove it from all clients."""
    tag, described = find_own(tag_id, to_change=True)
    check_if_match(SCHEMA, described)
    tag_changes.delete_tag(tag, utcnow(), current_actor())
    return "", 204


def find_own(tag_id: int, *, to_change: bool = False) -> tuple[Tag, dict[str, Any]]:
    """Return the owner's tag and its description, or abort with 404; locked if it is to be changed."""
    if to_change:
        get_own(Tag, tag_id, to_change=True)
    row = find_counted_tag(current_access().owner_id, tag_id) or abort(404)
    return row[0], describe(row)


def describe(row: Row[Any]) -> dict[str, Any]:
    tag, count = row[0], row[1]
    return {"id": tag.id, "name": tag.name, "clients": count, "created_at": tag.created_at}
