"""Choosing clients one search at a time, also without JavaScript: each step posts the whole form."""

from dataclasses import dataclass

from sqlalchemy import false
from werkzeug.datastructures import MultiDict

from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.selection import Selection, keep_owned
from skymailing.models import Client, User

# The button of a step; a form posted with any of them is shown again and nothing is saved.
STEP_FIELD = "pick"
SEARCH, MORE, ALL, NONE, CHOSEN = "search", "more", "all", "none", "chosen"
# What Enter does in any field of the form: nothing is sent by a slip of the hand.
STAY = "stay"


@dataclass(frozen=True)
class Picker:
    """One step: what was searched for, the clients that match, and everything chosen so far."""

    query: str
    matches: list[Client]
    selection: Selection
    suppressed: set[str]
    after: int
    has_more: bool

    @property
    def chosen_elsewhere(self) -> Selection:
        """What is chosen but not among the matches shown; kept in a hidden field."""
        return self.selection.without(client.id for client in self.matches)


def is_step(form: MultiDict[str, str]) -> bool:
    """Whether the form was sent by one of the picker's own buttons."""
    return STEP_FIELD in form


def make_picker(owner: User, selection: Selection, form: MultiDict[str, str]) -> Picker:
    """Return the picker's next step; `form` is empty when the page is opened."""
    query = form.get("client_query", "").replace("\0", "").strip()[:200]
    step = form.get(STEP_FIELD)
    after = 0
    if step == ALL:
        ids = queries.matching_clients(owner, query).with_only_columns(Client.id)
        selection = selection | Selection.of(db.session.scalars(ids))
    elif step == NONE:
        selection = Selection()
    elif step == MORE:
        shown = form.get("shown_until", "")
        after = int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 19 else 0
    if step == CHOSEN or (not form and selection):
        matches = queries.first_of_selection(owner, next(selection.conditions(), false()))
        has_more = False
    else:
        matches = queries.page_of_clients(owner, query, after)
        has_more = len(matches) > queries.MATCHES_SHOWN
        matches = matches[: queries.MATCHES_SHOWN]
    return Picker(
        query=query,
        matches=matches,
        selection=keep_owned(owner, selection),
        suppressed=queries.suppressed_keys(owner, [client.email_key for client in matches]),
        after=after,
        has_more=has_more,
    )
