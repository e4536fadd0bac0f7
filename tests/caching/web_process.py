"""Run a web process that shares only the database and Redis with other processes."""

import os
import subprocess
from pathlib import Path

from config import TestingConfig
from skymailing.processes.programs import list_programs
from tests.journey.visitor import Visitor
from tests.processes.service import PROJECT_DIR, wait_until
from tests.support.ports import find_free_port


class WebProcess:
    """The web server that `flask up` runs, with a single worker."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.environment = environment | {"PATH": os.environ["PATH"], "PORT": str(self.port)}

    def start(self) -> None:
        (web,) = (
            program
            for program in list_programs(vars(TestingConfig(self.environment)))
            if program.name == "web"
        )
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [*web.command, "--workers=1"],
                cwd=PROJECT_DIR,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        wait_until(self._has_responded_or_ended, "the web process responds")
        assert self.process.poll() is None, self.log.read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def visitor(self) -> Visitor:
        """Return a new browser without cookies."""
        return Visitor(self.url)

    def _has_responded_or_ended(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            return self.visitor().get("/healthz").status == 200
        except OSError:
            return False
