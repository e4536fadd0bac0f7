"""Choose ports for servers that tests start."""

import itertools
import os
import socket
from collections.abc import Iterator

# Outgoing connections get ports from a higher range, so they cannot take a chosen port before the server
# starts. Each process of a test run has its own ports.
FIRST_PORT = 20_000
PORTS_PER_PROCESS = 1_000


def find_free_port() -> int:
    """Return a port on 127.0.0.1 that is free and was not returned to this process recently."""
    for port in _ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("the sequence of ports never ends")


def _cycle_ports() -> Iterator[int]:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + process % 12 * PORTS_PER_PROCESS
    ports = range(first, first + PORTS_PER_PROCESS)
    # Another test run on the same machine most likely starts at another port.
    start = os.getpid() % PORTS_PER_PROCESS
    return itertools.islice(itertools.cycle(ports), start, None)


_ports = _cycle_ports()
