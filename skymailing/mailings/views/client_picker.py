"""Show the client picker, in which people search for clients and select them; each step posts the form."""

from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from skymailing.clients.search.finding import list_found
from skymailing.clients.search.matching import clean_search
from skymailing.db.engine import LARGEST_BIG_ID
from skymailing.db.pagination import BoundedCount, count_up_to
from skymailing.mailings import queries
from skymailing.mailings.selection import Selection, add_matching, count_selected, find_selected
from skymailing.models import Client, User
from skymailing.web.ids import read_id

# The name of the picker's buttons. A form that one of them submits is shown again instead of being saved.
STEP_FIELD = "pick"
SEARCH, MORE, ALL, NONE, CHOSEN = "search", "more", "all", "none", "chosen"
# The value of the form's default button, so that Enter in a field does not save by accident.
STAY = "stay"


@dataclass(frozen=True)
class Picker:
    """The state after a step: the search, a page of matching clients, and the selection so far."""

    query: str
    matches: list[Client]
    count: BoundedCount | int | None  # all matches; None if the page shows selected clients instead
    checked: set[int]  # IDs
    selection: Selection
    selected: int  # the number of selected clients
    suppressed: set[str]  # keys of email addresses
    shows_chosen: bool
    has_more: bool

    @property
    def hidden_values(self) -> list[str]:
        """The selection as values of hidden fields, without the clients who have check boxes on the page."""
        return self.selection.to_values(client.id for client in self.matches)


def is_step(form: MultiDict[str, str]) -> bool:
    """Return whether the form was submitted by one of the picker's buttons."""
    return STEP_FIELD in form


def make_picker(owner: User, selection: Selection, form: MultiDict[str, str]) -> Picker:
    """Return the picker after a step; `form` is empty when the page is opened."""
    query = clean_search(form.get("client_query", ""))
    step = form.get(STEP_FIELD)
    if step == ALL:
        selection = add_matching(owner, selection, query)
    elif step == NONE:
        selection = Selection()
    shows_chosen = bool(selection) and (
        step == CHOSEN or not form or (step == MORE and form.get("showing") == CHOSEN)
    )
    after = read_id(form.get("shown_until", ""), LARGEST_BIG_ID) if step == MORE else 0
    if shows_chosen:
        clients = queries.list_selected_clients(owner, selection, after)
    else:
        clients = queries.list_matching_clients(owner, query, after)
    on_page = clients[: queries.MATCHES_SHOWN]
    return Picker(
        query=query,
        matches=on_page,
        count=None if shows_chosen else count_matches(owner, query, clients, after),
        checked=find_selected(owner, selection, [client.id for client in on_page]),
        selection=selection,
        selected=count_selected(owner, selection),
        suppressed=queries.find_suppressed_keys(owner, [client.email_key for client in on_page]),
        shows_chosen=shows_chosen,
        has_more=len(clients) > queries.MATCHES_SHOWN,
    )


def count_matches(owner: User, query: str, clients: list[Client], after: int) -> BoundedCount | int:
    # If all matches fit on the page, no query is needed to count them.
    has_all = not after and len(clients) <= queries.MATCHES_SHOWN
    return len(clients) if has_all else count_up_to(list_found(owner.id, query))
