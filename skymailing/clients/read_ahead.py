"""Use a second core: prepare an iterator's next item in a thread while the current one is processed."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, reading each while the caller uses the previous one.

    The thread must not use the database: the session belongs to the caller's thread. An exception in
    `items` is raised in place of its item.
    """
    with ThreadPoolExecutor(1, "read-ahead") as executor:
        upcoming: Future[Item | None] = executor.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = executor.submit(next, items, None)
            yield item
