"""Run the service's commands in forks of a process that has already imported the service.

Imports took most of the time of a worker process that sent a few hundred letters.
"""

import multiprocessing
import os
import random
import sys
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[2]

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "flask.cli",
        "config",
        "skymailing.jobs",
        "skymailing.worker",
        "skymailing.schedule",
        "tests.support.pages",
    ]
)


class Forked:
    """A separate process that runs `flask --app wsgi NAME`; its methods are those of `subprocess.Popen`."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self._process = _forks.Process(target=_run, args=(name, environment, log), daemon=True)
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        self._process.join(seconds)
        exit_code = self._process.exitcode
        assert exit_code is not None, f"the process has not ended within {seconds} s"
        return exit_code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()


def _run(name: str, environment: dict[str, str], log: Path) -> None:
    from flask.cli import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(PROJECT_DIR)
    random.seed()  # otherwise all forks have the same random numbers
    with log.open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    sys.argv = ["flask", "--app", "wsgi", name]
    main()
