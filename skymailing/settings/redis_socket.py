"""Locate the bundled Valkey server: a private Unix socket below DATA_DIR."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

# A Unix socket's path is limited to 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH = 100
# Other characters have a meaning in URLs, and redis-py cannot parse a client address with a space.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._@+-]+")


def redis_socket(data_dir: Path) -> Path:
    """Return the socket's path; it is outside DATA_DIR if that path is too long or has special characters."""
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH and PLAIN_PATH.fullmatch(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"skymailing-{os.getuid()}-{digest}" / "redis.sock"


def embedded_redis_url(data_dir: Path) -> str:
    """Return the redis-py URL of the bundled Valkey server."""
    return f"unix://{redis_socket(data_dir)}"
