"""Test programs that run as forks of `flask up`."""

import os
import signal
import sys
from pathlib import Path

import pytest
from flask import Flask

from skymailing.processes import forked

pytestmark = pytest.mark.one_engine


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a module that a test may write and run."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "forked_program.py"


def run(program: Path, source: str) -> bool:
    """Run the program in a fork; return whether its exit code is 0."""
    program.write_text(source)

    def start() -> None:
        if forked.run([sys.executable, "-m", program.stem]):
            raise ChildProcessError

    return forked.call(start)


def test_a_program_does_not_use_its_parents_application_context(app: Flask, program: Path) -> None:
    with app.app_context():
        assert run(program, "import sys, flask\nsys.exit(flask.has_app_context())")


def test_a_program_keeps_ignoring_what_the_service_ignores(program: Path) -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as with nohup
    try:
        assert run(program, "import signal\nassert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN")
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_the_exit_code_of_a_program_is_returned(program: Path) -> None:
    assert run(program, "")
    assert not run(program, "raise SystemExit('no')")
    assert not run(program, "1 / 0")


def test_a_signal_right_after_the_fork_is_not_lost() -> None:
    previous = signal.signal(signal.SIGTERM, lambda _number, _frame: None)  # as the supervisor handles it
    try:
        for _ in range(50):
            pid = forked.fork()
            if not pid:
                signal.alarm(20)  # ends the process if SIGTERM does not
                signal.pause()
            os.kill(pid, signal.SIGTERM)
            assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, previous)
