"""An application that builds its pages and their URLs only when needed, so that processes start faster."""

import threading
from collections.abc import Callable

from flask import Flask
from werkzeug.routing import Map, Rule


class LazyRule(Rule):
    """A rule that compiles its URL builder when that is first called.

    Werkzeug compiles it for each of hundreds of rules when they are added; a process needs few of them.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder
        compiled: Callable[..., tuple[str, str]] | None = None

        def build(rule: Rule, /, **values: object) -> tuple[str, str]:
            nonlocal compiled
            if compiled is None:
                compiled = compile_now(append_unknown)
            return compiled(rule, **values)

        return build


class LazyPagesFlask(Flask):
    """Flask, with pages that may be deferred until something first looks up a URL.

    Requests, `url_for` and `flask routes` all go through `url_map`, so none of them can see an
    application without its pages.
    """

    url_rule_class = LazyRule

    def __init__(self, import_name: str) -> None:
        self._lock = threading.RLock()
        self._build_pages: Callable[[], None] | None = None
        self._is_building = False
        super().__init__(import_name)

    def defer_pages(self, build: Callable[[], None]) -> None:
        """Call `build` when a URL is first looked up."""
        self._build_pages = build

    @property
    def url_map(self) -> Map:
        """The URLs of all pages."""
        if self._build_pages is not None:
            with self._lock:  # other threads wait here until the map is complete
                if self._build_pages is not None and not self._is_building:
                    self._is_building = True
                    try:
                        self._build_pages()
                        self._build_pages = None
                    finally:
                        self._is_building = False
        return self._url_map

    @url_map.setter
    def url_map(self, url_map: Map) -> None:
        self._url_map = url_map
