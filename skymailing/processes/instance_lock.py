"""Ensure that only one service runs per DATA_DIR: hold a lock, check the ports, stop leftover processes."""

import fcntl
import json
import os
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from redis import Redis, RedisError

from skymailing.errors import SkyMailingError

# Time for old processes to notice that their supervisor ended uncleanly, and to exit.
OLD_PROCESS_SECONDS = 20.0


class AlreadyRunning(SkyMailingError):
    """Another `flask up` runs with this DATA_DIR."""


class PortTaken(SkyMailingError):
    """Another program listens on a port that we need."""


@contextmanager
def hold_lock(run_directory: Path, address: str) -> Iterator[bool]:
    """Hold the lock of this DATA_DIR; yield whether the previous service ended uncleanly.

    The kernel releases the lock when its holder ends for any reason, so it is never stale.
    Raises AlreadyRunning.
    """
    run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (run_directory / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(_explain_holder(file)) from error
        was_unclean = bool(_read(file))
        _write(file, {"pid": os.getpid(), "address": address})
        yield was_unclean
        with suppress(OSError):  # on a full disk the file is empty, which also means that it ended cleanly
            _write(file, {})


def wait_for_old_processes(ports: list[tuple[str, int]], redis: Redis | None) -> None:
    """Wait until the children of a service that ended uncleanly have exited; they do so on their own."""
    deadline = time.monotonic() + OLD_PROCESS_SECONDS
    while time.monotonic() < deadline:
        redis_is_alive = redis is not None and _end_redis(redis)
        if not redis_is_alive and all(_bind_error(host, port) is None for host, port in ports):
            return
        time.sleep(0.2)


def check_port(host: str, port: int, variable: str) -> None:
    """Raise PortTaken with the variable to set, unless the port is free."""
    error = _bind_error(host, port)
    if error is not None:
        raise PortTaken(
            f"Cannot listen on port {port} of {host}: {error}. "
            f"Choose another with {variable}, for example {variable}={port + 1}."
        )


def _bind_error(host: str, port: int) -> str | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # The servers set this too, so connections in TIME_WAIT do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _end_redis(redis: Redis) -> bool:
    """Ask our orphaned Redis to save and exit; return whether it was still running."""
    try:
        redis.ping()
        redis.shutdown()
    except RedisError:
        return False
    return True


def _explain_holder(file: IO[str]) -> str:
    holder = _read(file)
    if not holder:
        return "SkyMailing is starting or stopping here."
    return (
        f"SkyMailing is already running at {holder['address']} (pid {holder['pid']}). "
        f"Stop it with Ctrl-C in its terminal, or with: kill {holder['pid']}"
    )


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        content: dict[str, Any] = json.loads(file.read() or "{}")
    except ValueError:  # the holder is writing it right now, or was killed while writing
        return {}
    return content


def _write(file: IO[str], content: dict[str, Any]) -> None:
    # Unbuffered: a buffer would raise again when the file is closed on a full disk.
    os.ftruncate(file.fileno(), 0)
    os.write(file.fileno(), json.dumps(content).encode())


def responds(url: str) -> bool:
    """Return whether the URL responds with status 200 within half a second."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    try:
        with opener.open(url, timeout=0.5) as response:
            return bool(response.status == 200)
    except (OSError, ValueError, HTTPException):  # including a program that uses another protocol
        return False


def is_listening(host: str, port: int) -> bool:
    """Return whether a program accepts connections on this port."""
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True
