"""Run our own programs as forks of `flask up`, which share the memory of all modules that it has loaded.

A program that starts as a new process spends a second or two on imports, and needs 60 to 120 MB of its own.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextvars import Context

from setproctitle import getproctitle, setproctitle

# Signals for which the supervisor has handlers.
HANDLED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGUSR2)
# On macOS, forking a process that has loaded many libraries is not safe.
IS_SAFE = sys.platform == "linux"


def prepare() -> None:
    """Prepare this process to be forked, after it has loaded what its programs need."""
    getproctitle()  # locates the title in memory, which works only before `os.environ` is changed
    freeze_loaded()  # a collection in a child would write to each object and thereby copy its memory page


def freeze_loaded() -> None:
    """Exempt all objects loaded so far from garbage collection, which would search them repeatedly."""
    gc.collect()
    gc.freeze()


def call(function: Callable[[], object]) -> bool:
    """Call a function in a fork, so that its memory is freed; return whether it raised no error."""
    if not IS_SAFE:
        function()
        return True
    process = multiprocessing.get_context("fork").Process(target=function)
    process.start()
    process.join()
    return process.exitcode == 0


def fork() -> int:
    """Fork so that no signal to the new process reaches the parent's handlers, which would lose it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if not pid:
            reset_signals()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    return pid


def reset_signals() -> None:
    """Handle signals as a new process does; signals that are ignored, as under nohup, remain ignored."""
    for number in HANDLED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def can_run(command: Sequence[str]) -> bool:
    """Return whether a command line is that of a Python module, run by this interpreter."""
    return IS_SAFE and list(command[:2]) == [sys.executable, "-m"]


def run(command: Sequence[str]) -> int:
    """In a process made by `fork`, run a command for which `can_run` is true; return its exit code.

    The parent must have closed its connections: their file descriptors are closed here, so the
    connection objects would close unrelated files that reuse the numbers.
    """
    atexit._clear()  # the parent's functions
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, *arguments = command[2:]
    setproctitle(f"skymailing: {arguments[-1] if module == 'flask' else module}")
    sys.argv = [module, *arguments]
    # Not in the parent's application context: all requests would share its `g` and database session.
    code = Context().run(_run_module, module)
    # The same steps, in the same order, as when the interpreter exits.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _run_module(name: str) -> int:
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # no error of the program may reach the supervisor's code
        traceback.print_exc()
        return 1
    return 0
