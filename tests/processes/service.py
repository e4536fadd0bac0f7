"""Run a whole service with `flask up` in its own DATA_DIR."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.ports import find_free_port

PROJECT_DIR = Path(__file__).resolve().parents[2]
START_SECONDS = 180  # a generous limit, because other processes may keep the machine busy
SPAWNED = re.compile(r"spawned: '([^']+)' with pid (\d+)")


def wait_until(condition: Callable[[], Any], description: str, seconds: float = START_SECONDS) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {description}"
        time.sleep(0.1)


class Service:
    """A service that runs `flask up` and other commands, with free ports and one worker by default."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.port = find_free_port()
        self.mail_port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "MAIL_PORT": str(self.mail_port),
            "WORKERS": "1",
        } | settings

    def start(self, *, in_background: bool = False) -> None:
        """Start the service in its own process group, as a terminal does; return when it is running.

        With `in_background`, SIGINT is ignored, as in jobs that a shell starts with `&`.
        """
        handlers = {signal.SIGHUP: signal.SIG_DFL}  # even if the tests themselves run under nohup
        if in_background:
            handlers[signal.SIGINT] = signal.SIG_IGN
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self.output = self.data_dir.parent / "console"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                self.command("up", "--migrate"),
                cwd=PROJECT_DIR,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for number, handler in previous.items():
            signal.signal(number, handler)
        wait_until(self._is_announced_or_ended, "the address is printed")
        assert self.process.poll() is None, self.console + self.log("supervisor")

    def press_ctrl_c(self) -> int:
        """Send SIGINT to the whole foreground group; return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    def stop(self) -> None:
        """Stop the service if it is still running."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run another command with the service's settings."""
        return subprocess.run(
            self.command(*arguments),
            cwd=PROJECT_DIR,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )

    @property
    def console(self) -> str:
        return self.output.read_text()

    def log(self, name: str) -> str:
        path = self.data_dir / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def pids(self) -> dict[str, int]:
        """Return the newest process ID for each program name."""
        return {name: int(pid) for name, pid in SPAWNED.findall(self.log("supervisor"))}

    def all_pids(self) -> set[int]:
        """Return the ID of every process that the supervisor has started."""
        return {int(pid) for _, pid in SPAWNED.findall(self.log("supervisor"))}

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and text of a page; the status is 0 without a response."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        status, text = self.get("/readyz")
        return status == 200 and json.loads(text)["status"] == "ready"

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the web server, opened by the first request."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def _is_announced_or_ended(self) -> bool:
        return self.process.poll() is not None or "is running" in self.console

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]


def is_listening(port: int) -> bool:
    """Return whether a program is listening on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_gone(pid: int) -> bool:
    """Return whether the process and its whole group (including gunicorn's children) have ended."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False
