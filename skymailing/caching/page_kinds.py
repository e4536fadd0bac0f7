"""Define which pages are cached, and the caching rules of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Flask


@dataclass(frozen=True, slots=True)
class PageKind:
    """The caching rules for the pages of one endpoint."""

    subjects: tuple[str, ...]  # the versions that label the page, see `backend.SUBJECTS`
    seconds: float  # longest time until the page is rendered again
    next_change: Callable[[datetime], datetime | None]  # the next time the page changes without any write
    arguments: tuple[str, ...] = ()  # query arguments that select a page
    variants: int = 1  # number of variants; each response shows a random one
    # Inserts changing values into the rendered body: (app, body, `g.page_values`, language, is_get) -> body.
    fill: Callable[[Flask, bytes, list[int], str, bool], bytes] | None = None


class PageKinds:
    """The registered pages, by path."""

    def __init__(self) -> None:
        self._exact: dict[str, PageKind] = {}
        # The keys are the parts before the first variable: "/blog/" for "/blog/<slug>".
        self._patterns: dict[str, list[tuple[re.Pattern[str], PageKind]]] = {}

    def add(self, path: str, kind: PageKind) -> None:
        prefix, variable, _ = path.partition("<")
        if not variable:
            self._exact[path] = kind
            return
        pattern = re.compile(re.sub(r"<\w+>", "[^/]+", path))
        self._patterns.setdefault(prefix, []).append((pattern, kind))

    def find(self, path: str) -> PageKind | None:
        if kind := self._exact.get(path):
            return kind
        patterns = self._patterns.get(path[: path.find("/", 1) + 1], ())
        return next((kind for pattern, kind in patterns if pattern.fullmatch(path)), None)
