"""Act before a chosen line of code, for example by killing the process, to test the resulting state."""

import os
import signal
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

Act = Callable[[], None]


class StepTracer:
    """A context manager that counts executed lines of some files, and acts before one of them."""

    def __init__(self, files: Collection[str], number: int = 0, act: Act | None = None) -> None:
        self.files = files
        self.number = number
        self.act = act
        self.count = 0

    def __enter__(self) -> "StepTracer":
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._step if frame.f_code.co_filename in self.files else None

    def _step(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self.number and self.act:
                self.act()
        return self._step


def kill_process() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)
