"""Search for clients quickly, in address books of any size."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, select

from skymailing.clients.search.index import find_candidates
from skymailing.clients.search.matching import matches, split_words
from skymailing.db.engine import is_in
from skymailing.db.pagination import COUNT_LIMIT, BoundedCount, count_up_to
from skymailing.models import Client

MAX_COUNTED = 500  # clients found by words: counting more takes longer than finding them
MAX_CANDIDATES = 10_000
# A word is frequent if one client in ten has it. The second sample is read only if the word is frequent in
# the first, which may be an import of clients from one city.
SAMPLES = (200, 2_000)  # newest clients
FREQUENT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Search:
    """A search in an owner's address book."""

    condition: ColumnElement[bool]  # on the owner's clients
    # For a search that finds many clients: the condition for those that are counted.
    counted: ColumnElement[bool] | None = None
    limit: int = MAX_COUNTED

    def count(self, statement: Select[tuple[Client]]) -> BoundedCount:
        """Count the rows of a statement that has the search's condition, up to the limit."""
        if self.counted is None:
            return count_up_to(statement, self.limit)
        return BoundedCount(count_up_to(statement.where(self.counted), self.limit).number, is_exact=False)


def search_clients(owner_id: int, search: str) -> Search:
    """Return a search for the owner's clients who match `search`, or for all clients if it has no words."""
    words = split_words(search)
    if not words:
        return Search(matches(search), limit=COUNT_LIMIT)
    # Clients with frequent words are found quickly without the index, which would return all of them.
    if is_frequent(owner_id, search):
        return Search(matches(search), is_among_newest(owner_id, SAMPLES[-1]))
    candidates = find_candidates(owner_id, words, MAX_CANDIDATES)
    if candidates is None:
        return Search(matches(search))
    is_candidate = is_in(Client.id, candidates)
    if len(candidates) < MAX_CANDIDATES:
        return Search(is_candidate & matches(search))
    return Search(matches(search), is_candidate)


def is_frequent(owner_id: int, search: str) -> bool:
    """Return whether many of the owner's newest clients match."""
    for size in SAMPLES:
        sample = select(Client).where(matches(search), is_among_newest(owner_id, size))
        minimum = int(size * FREQUENT_SHARE)
        if count_up_to(sample, minimum).is_exact:
            return False
    return True


def is_among_newest(owner_id: int, size: int) -> ColumnElement[bool]:
    """Return the condition for the owner's `size` newest clients."""
    newest = select(Client.id).where(Client.owner_id == owner_id).order_by(Client.id.desc()).limit(size)
    return Client.id.in_(newest)


def list_found(owner_id: int, search: str) -> Select[tuple[Client]]:
    """Return a statement for the owner's clients who match `search`."""
    return select(Client).where(Client.owner_id == owner_id, search_clients(owner_id, search).condition)
