"""Read the tags in one row of a table."""

from collections.abc import Sequence
from functools import lru_cache

from skymailing.clients import cells
from skymailing.clients.tags import MAX_TAGS_OF_CLIENT, InvalidTag, clean_tag, read_tags, tag_key


class RowTags:
    """A reader of a row's tags: those in its columns, and those given to all rows of the file."""

    def __init__(self, positions: Sequence[int], for_all: str) -> None:
        self.positions = positions
        self.for_all = tuple(read_tags(for_all))

    def read(self, row: Sequence[str], more: str = "") -> tuple[str, ...]:
        """Return the names of the tags, including `more`, without duplicates; raises InvalidTag."""
        if not self.positions and not more:
            return self.for_all
        texts = [*(row[position] for position in self.positions), more]
        names = [name for text in texts if text for name in read_cell(text)] + list(self.for_all)
        tags = tuple({tag_key(name): name for name in reversed(names)}.values())
        if len(tags) > MAX_TAGS_OF_CLIENT:
            raise InvalidTag("client_too_many_tags", limit=MAX_TAGS_OF_CLIENT)
        return tags


@lru_cache(maxsize=10_000)  # most columns with tags have few distinct cells
def read_cell(text: str) -> tuple[str, ...]:
    """Return the names of the tags in a cell; raises InvalidTag."""
    return tuple(name for name in map(clean_tag, cells.read_tags(text)) if name)
