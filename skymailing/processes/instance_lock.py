"""One running service per DATA_DIR: the lock, the ports, and what an earlier one left behind."""

import fcntl
import json
import os
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from redis import Redis, RedisError

from skymailing.errors import SkyMailingError

# After an unclean end the old processes get this long to notice and leave.
SECONDS_TO_LEAVE = 20.0


class AlreadyRunning(SkyMailingError):
    """Another `flask up` serves this DATA_DIR."""


class PortTaken(SkyMailingError):
    """Another program listens where we want to."""


@contextmanager
def exclusive(run_directory: Path, address: str) -> Iterator[bool]:
    """Hold the lock of this DATA_DIR; yields whether the service before ended uncleanly.

    The kernel gives the lock back when its holder dies in whatever way, so it is never stale.
    Raises AlreadyRunning.
    """
    run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (run_directory / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(_describe_holder(file)) from error
        was_unclean = bool(_read(file))
        _write(file, {"pid": os.getpid(), "address": address})
        yield was_unclean
        _write(file, {})


def wait_for_leavers(ports: list[tuple[str, int]], redis: Redis | None) -> None:
    """Wait until an unclean predecessor's children are gone; they end by themselves."""
    deadline = time.monotonic() + SECONDS_TO_LEAVE
    while time.monotonic() < deadline:
        redis_lives = redis is not None and _end_redis(redis)
        if not redis_lives and all(_bind_error(host, port) is None for host, port in ports):
            return
        time.sleep(0.2)


def check_port(host: str, port: int, variable: str) -> None:
    """Raise PortTaken, naming the variable to set, unless we could listen there."""
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
            # As the servers do: a connection that lingers from before is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _end_redis(redis: Redis) -> bool:
    """Ask an orphaned Redis of ours to save and leave; whether it was still there."""
    try:
        redis.ping()
        redis.shutdown()
    except RedisError:
        return False
    return True


def _describe_holder(file: IO[str]) -> str:
    holder = _read(file)
    if not holder:
        return "SkyMailing is just starting or stopping here."
    return (
        f"SkyMailing is already running at {holder['address']} (pid {holder['pid']}). "
        f"Stop it with Ctrl-C in its terminal, or with: kill {holder['pid']}"
    )


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        content: dict[str, Any] = json.loads(file.read() or "{}")
    except ValueError:  # the holder is writing it right now, or was killed while it did
        return {}
    return content


def _write(file: IO[str], content: dict[str, Any]) -> None:
    file.seek(0)
    file.truncate()
    json.dump(content, file)
    file.flush()


def answers(url: str) -> bool:
    """Whether the URL answers 200 within a moment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    try:
        with opener.open(url, timeout=0.5) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True
