"""One supervisor for all processes: starts them, restarts what dies, stops them in order.

The work is done by the `supervisor` package, run inside the process of `flask up`; what is added
here: a child ends with its parent, console output for a person, and a delay between restarts that
stays short.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.states import ProcessStates, SupervisorStates
from supervisor.supervisord import Supervisor

PR_SET_PDEATHSIG = 1  # linux/prctl.h
MAX_RESTART_DELAY = 5  # seconds; supervisor would wait one second more with each failure
PATIENCE = 60  # seconds until a person is told that the web does not answer
FAILURES_TO_REPORT = 3


class Options(ServerOptions):
    """Supervisor's options, with children that do not outlive it and work in `directory`."""

    def __init__(self, directory: Path, log_format: Any = None) -> None:
        super().__init__()
        self._log_format = log_format
        # Loaded before any fork; other systems than Linux have no prctl.
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._parent = os.getpid()
        self._directory = directory

    def execve(self, filename: str, argv: list[str], environ: dict[str, str]) -> None:
        """Become the program; called in each new child."""
        if self._libc is not None:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != self._parent:  # it died before the line above
                os._exit(1)
        os.chdir(self._directory)
        super().execve(filename, argv, environ)

    def make_logger(self) -> None:
        """Let the supervisor's own lines look like everybody's."""
        own: Any = self
        if self._log_format is None:
            super().make_logger()
            return
        warnings = [*own.parse_criticals, *own.parse_warnings]  # written before a format can be set
        own.parse_criticals, own.parse_warnings = [], []
        super().make_logger()
        for handler in own.logger.handlers:
            handler.setFormat(self._log_format)
        for text in warnings:
            own.logger.warn(text)

    def setsignals(self) -> None:
        """Let a closed terminal end the service; supervisor would restart it out of sight."""
        was_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # started with nohup
        super().setsignals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN if was_ignored else self._hang_up)

    def _hang_up(self, _signal: int, frame: FrameType | None) -> None:
        self.signal_receiver.receive(signal.SIGTERM, frame)


class ConsoleSupervisor(Supervisor):
    """A supervisor that tells a person what they need to know, and nothing else."""

    def __init__(
        self,
        options: Options,
        is_ready: Callable[[], bool],
        on_ready: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(options)
        self._is_ready = is_ready
        self._on_ready: Callable[[], None] | None = on_ready
        self._say = say
        self._patience_ends: float | None = time.monotonic() + PATIENCE
        self._reported: set[str] = set()

    def handle_signal(self) -> None:
        was_running = self.options.mood >= SupervisorStates.RUNNING
        super().handle_signal()
        if was_running and self.options.mood < SupervisorStates.RUNNING:
            self._say("Stopping; letters under way are finished first ...")

    def tick(self, now: float | None = None) -> None:
        super().tick(now)
        self._shorten_delays()
        if self._on_ready is not None and self.options.mood >= SupervisorStates.RUNNING:
            self._look_whether_ready(self._on_ready)

    def _look_whether_ready(self, on_ready: Callable[[], None]) -> None:
        if self._is_ready():
            self._on_ready = None
            on_ready()
        elif self._patience_ends is not None and time.monotonic() > self._patience_ends:
            self._patience_ends = None
            self._say("The service does not answer yet; see web.log in the log directory.")

    def _shorten_delays(self) -> None:
        soonest = time.time() + MAX_RESTART_DELAY
        for group in self.process_groups.values():
            for name, process in group.processes.items():
                if process.state == ProcessStates.BACKOFF:
                    process.delay = min(process.delay, soonest)
                    self._report_failures(name, process.backoff)
                elif process.state == ProcessStates.RUNNING:
                    self._reported.discard(name)

    def _report_failures(self, name: str, failures: int) -> None:
        if failures >= FAILURES_TO_REPORT and name not in self._reported:
            self._reported.add(name)
            self._say(f"{name} keeps stopping and is tried again; see {name}.log in the log directory.")


def supervise(
    configuration: Path,
    directory: Path,
    is_ready: Callable[[], bool],
    on_ready: Callable[[], None],
    say: Callable[[str], None],
    log_format: Any = None,
) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; return when every child has ended.

    The children work in `directory`; their logs are written where this process works. `log_format` is
    what stands left of `%` when the supervisor's own lines are made; without it they are as ever.
    """
    options: Any = Options(directory, log_format)
    options.realize(["-c", str(configuration)])
    options.first = True
    options.test = False
    try:
        ConsoleSupervisor(options, is_ready, on_ready, say).main()
    except ExitNow:
        pass
    finally:
        options.close_httpservers()
        options.close_logger()
