"""Threads of a worker that run alongside its jobs, for work that mostly waits for the network."""

import logging
import threading
from collections.abc import Callable

from flask import Flask, current_app

logger = logging.getLogger(__name__)


class BackgroundTask:
    """A task that at most one thread of this process runs."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self._run = run
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Run the task in a thread, unless it is running."""
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, args=[app], name=self.name, daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the thread, if there is one, so that it can record what it has done."""
        if thread := self._thread:
            thread.join(seconds)

    def _serve(self, app: Flask) -> None:
        with app.app_context():
            try:
                self._run()
            except Exception:  # the sweep starts it again
                logger.exception("%s failed", self.name)
