"""Supervise all processes: start them, restart those that die, and stop them in order.

The `supervisor` package does this in the process of `flask up`. This module makes children end with their
parent, prints console output for people, and keeps restart delays short.
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

from skymailing.processes import forked, log_files

PR_SET_PDEATHSIG = 1  # linux/prctl.h
MAX_RESTART_DELAY = 5  # seconds; by default, supervisor adds a second with each failure
READY_TIMEOUT = 60  # seconds until the console reports that the web server is not responding
FAILURES_TO_REPORT = 3
STOP_POLL_SECONDS = 0.1


class Options(ServerOptions):
    """Supervisor's options, with children that work in `directory` and end with their parent."""

    def __init__(self, directory: Path, log_format: Any = None) -> None:
        super().__init__()
        self._log_format = log_format
        # Loaded before any fork. Only Linux has prctl.
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._parent = os.getpid()
        self._directory = directory

    def fork(self) -> int:
        return forked.fork()

    def execve(self, filename: str, argv: list[str], environ: dict[str, str]) -> None:
        """Run the program of the new child process, or replace the process with it."""
        if self._libc is not None:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != self._parent:  # the parent died before the line above
                os._exit(1)
        os.chdir(self._directory)
        if forked.can_run(argv):
            os.environ.update(environ)
            os._exit(forked.run(argv))
        super().execve(filename, argv, environ)

    def make_logger(self) -> None:
        """Format the supervisor's own lines like those of the other processes."""
        untyped: Any = self
        if self._log_format is None:
            super().make_logger()
            return
        warnings = [*untyped.parse_criticals, *untyped.parse_warnings]  # logged before a format can be set
        untyped.parse_criticals, untyped.parse_warnings = [], []
        super().make_logger()
        for handler in untyped.logger.handlers:
            handler.setFormat(self._log_format)
        for text in warnings:
            untyped.logger.warn(text)

    def setsignals(self) -> None:
        """Stop when the terminal is closed; by default, supervisor would restart in the background."""
        was_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # started with nohup
        super().setsignals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN if was_ignored else self._hang_up)

    def _hang_up(self, _signal: int, frame: FrameType | None) -> None:
        self.signal_receiver.receive(signal.SIGTERM, frame)


class ConsoleSupervisor(Supervisor):
    """A supervisor that prints only the most important messages; `logs` is the log directory."""

    def __init__(
        self,
        options: Options,
        logs: Path,
        is_ready: Callable[[], bool],
        on_ready: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        super().__init__(options)
        self._logs = logs
        self._is_ready = is_ready
        self._on_ready: Callable[[], None] | None = on_ready
        self._report = report
        self._ready_deadline: float | None = time.monotonic() + READY_TIMEOUT
        self._reported: set[str] = set()

    def handle_signal(self) -> None:
        was_running = self.options.mood >= SupervisorStates.RUNNING
        super().handle_signal()
        if was_running and self.options.mood < SupervisorStates.RUNNING:
            self._report("Stopping, after finishing the letters being sent ...")
            self._check_children_often()

    def _check_children_often(self) -> None:
        """Check for ended children more than once a second, since each stop waits for the previous one."""
        poller = self.options.poller
        poll = poller.poll
        poller.poll = lambda timeout: poll(min(timeout, STOP_POLL_SECONDS))

    def tick(self, now: float | None = None) -> None:
        super().tick(now)
        self._shorten_delays()
        if self._on_ready is not None and self.options.mood >= SupervisorStates.RUNNING:
            self._check_readiness(self._on_ready)

    def _check_readiness(self, on_ready: Callable[[], None]) -> None:
        if self._is_ready():
            self._on_ready = None
            on_ready()
        elif self._ready_deadline is not None and time.monotonic() > self._ready_deadline:
            self._ready_deadline = None
            self._report(f"The service is not responding yet; see {self._logs / 'web.log'}.")

    def _shorten_delays(self) -> None:
        latest = time.time() + MAX_RESTART_DELAY
        for group in self.process_groups.values():
            for name, process in group.processes.items():
                if process.state == ProcessStates.BACKOFF:
                    process.delay = min(process.delay, latest)
                    self._report_failures(name, process.backoff)
                elif process.state == ProcessStates.RUNNING:
                    self._reported.discard(name)

    def _report_failures(self, name: str, failures: int) -> None:
        if failures >= FAILURES_TO_REPORT and name not in self._reported:
            self._reported.add(name)
            self._report(f"{name} keeps stopping and being restarted; see {self._logs / name}.log.")


def supervise(  # noqa: PLR0913 - directories and callbacks, from a single caller
    configuration: Path,
    directory: Path,
    logs: Path,
    is_ready: Callable[[], bool],
    on_ready: Callable[[], None],
    report: Callable[[str], None],
    log_format: Any = None,
) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; return when every child has ended.

    The children work in `directory`. This process must work in `logs`, the log directory.
    `log_format` is the left operand of `%` that formats the supervisor's own lines.
    """
    log_files.install()
    options: Any = Options(directory, log_format)
    options.realize(["-c", str(configuration)])
    options.first = True
    options.test = False
    try:
        ConsoleSupervisor(options, logs, is_ready, on_ready, report).main()
    except ExitNow:
        pass
    finally:
        options.close_httpservers()
        options.close_logger()
