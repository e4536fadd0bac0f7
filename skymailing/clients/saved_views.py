"""Save views of the list of clients: a filter and an order, under a name that the owner gives."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from skymailing.clients.cleaning import clean_text
from skymailing.clients.tags import tag_key
from skymailing.db.engine import LARGEST_ID
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import User
from skymailing.quotas.locking import lock_owner

MAX_VIEWS = 20
NAME_MAX_LENGTH = 60
# The segment of a view whose segment was deleted: SQLite may give its ID to a new one, but never this ID.
DELETED_SEGMENT = str(LARGEST_ID)


class InvalidView(UserError):
    """A view cannot be saved: its name is missing, too long or taken, or there are too many views."""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A name, and the arguments of the list's URL, without empty and usual values."""

    name: str
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name as it is compared with others."""
        return self.name.casefold()


def list_views(user: User) -> list[SavedView]:
    """Return the user's views by name."""
    views = map(_read, user.client_views or [])
    return sorted(views, key=lambda view: (view.key, view.name))


def save_view(user_id: int, name: str, arguments: Mapping[str, str]) -> bool:
    """Save a view; return whether it has replaced one with the same name. Raises InvalidView."""
    view = SavedView(_clean(name), dict(arguments))
    return _add(_lock_user(user_id), view)


def restore_view(user_id: int, name: str, arguments: Mapping[str, str]) -> None:
    """Save a view that was deleted, unless its name has been taken since. Raises InvalidView."""
    view, user = SavedView(_clean(name), dict(arguments)), _lock_user(user_id)
    if any(other.key == view.key for other in list_views(user)):
        raise InvalidView("view_exists", name=view.name)
    _add(user, view)


def delete_view(user_id: int, name: str) -> SavedView | None:
    """Delete a view and return it; None if there is none with this name."""
    user = _lock_user(user_id)
    deleted = next((view for view in list_views(user) if view.name == name), None)
    if deleted is not None:
        _write(user, [view for view in list_views(user) if view != deleted])
    return deleted


def rename_tag_in_views(user_id: int, old_key: str, name: str) -> None:
    """Write the new name of a tag into the views that filter by it."""
    if not db.session.scalar(select(User.client_views).where(User.id == user_id)):
        return
    user = _lock_user(user_id)
    views = list_views(user)
    for view in views:
        if tag_key(view.arguments.get("tag", "")) == old_key:
            view.arguments["tag"] = name
    _write(user, views)


def forget_segment(user_id: int, segment_id: int) -> list[str]:
    """Mark the segment as deleted in the views that filter by it; return the names of these views."""
    return _change_segment(user_id, lambda view: view.arguments.get("segment") == str(segment_id), None)


def restore_segment(user_id: int, names: Collection[str], segment_id: int) -> None:
    """Let views that `forget_segment` changed, given by name, filter by the restored segment."""
    _change_segment(
        user_id,
        lambda view: view.name in names and view.arguments.get("segment") == DELETED_SEGMENT,
        segment_id,
    )


def _change_segment(
    user_id: int, is_concerned: Callable[[SavedView], bool], segment_id: int | None
) -> list[str]:
    if not db.session.scalar(select(User.client_views).where(User.id == user_id)):
        return []
    user = _lock_user(user_id)
    views = list_views(user)
    concerned = [view for view in views if is_concerned(view)]
    for view in concerned:
        view.arguments["segment"] = DELETED_SEGMENT if segment_id is None else str(segment_id)
    _write(user, views)
    return [view.name for view in concerned]


def _add(user: User, view: SavedView) -> bool:
    known = list_views(user)
    others = [other for other in known if other.key != view.key]
    if len(others) >= MAX_VIEWS:
        raise InvalidView("view_limit", limit=MAX_VIEWS)
    _write(user, [*others, view])
    return len(others) < len(known)


def _clean(text: str) -> str:
    name = " ".join(clean_text(text).split())
    if not name:
        raise InvalidView("view_nameless")
    if len(name) > NAME_MAX_LENGTH:
        raise InvalidView("view_name_too_long", limit=NAME_MAX_LENGTH)
    return name


def _lock_user(user_id: int) -> User:
    """Return the user with the current views, locked until the transaction ends."""
    lock_owner(user_id)
    return db.session.get_one(User, user_id, populate_existing=True)


def _read(stored: dict[str, str]) -> SavedView:
    return SavedView(stored["name"], {name: value for name, value in stored.items() if name != "name"})


def _write(user: User, views: list[SavedView]) -> None:
    user.client_views = [{"name": view.name, **view.arguments} for view in views]
