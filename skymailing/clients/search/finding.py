"""Find clients by a search, quickly in an address book of any size."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, select

from skymailing.clients.search.index import find_candidates
from skymailing.clients.search.matching import matches, split_words
from skymailing.db.engine import is_in
from skymailing.db.pagination import COUNT_LIMIT, BoundedCount, count_up_to
from skymailing.models import Client


@dataclass(frozen=True, slots=True)
class Search:
    """A search in an owner's address book."""

    condition: ColumnElement[bool]  # on the owner's clients
    # For a search that finds many: the condition for some of those found, as many as are counted.
    some: ColumnElement[bool] | None = None

    def count(self, statement: Select[tuple[Client]]) -> BoundedCount:
        """Count the rows of a statement that has the search's condition, up to COUNT_LIMIT."""
        if self.some is None:
            return count_up_to(statement)
        return BoundedCount(count_up_to(statement.where(self.some)).number, is_exact=False)


def search_clients(owner_id: int, search: str) -> Search:
    """Return a search for the owner's clients who match `search`; without words, for all."""
    candidates = find_candidates(owner_id, split_words(search), COUNT_LIMIT)
    if candidates is None:
        return Search(matches(search))
    among = is_in(Client.id, candidates)
    if len(candidates) < COUNT_LIMIT:
        return Search(among & matches(search))
    # So many match that a page of them is found soon without the index.
    return Search(matches(search), among)


def list_found(owner_id: int, search: str) -> Select[tuple[Client]]:
    """Return a statement for the owner's clients who match `search`."""
    return select(Client).where(Client.owner_id == owner_id, search_clients(owner_id, search).condition)
