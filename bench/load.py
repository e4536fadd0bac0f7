"""A small load generator: python -m bench.load PORT PATH SECONDS CONNECTIONS [COOKIE]; prints JSON.

Each connection asks, waits for the whole answer and asks again, as `wrk` does. One process: on two
cores a stronger one would take from the server what it is to measure.
"""

import json
import selectors
import socket
import statistics
import sys
import time

PATIENCE = 30.0  # seconds


class Connection:
    """One keep-alive connection, opened again when the server closes it."""

    def __init__(self, port: int, request: bytes) -> None:
        self.port = port
        self.request = request
        self.times: list[float] = []
        self.size = 0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> None:
        self.buffer = b""
        self.asked_at = time.perf_counter()
        self.socket.sendall(self.request)

    def read(self) -> bool:
        """Take what has arrived; whether the connection has to be opened again."""
        data = self.socket.recv(1 << 18)
        if not data:
            return True
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode(errors="replace"))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        self.times.append(time.perf_counter() - self.asked_at)
        self.size = length
        if b"connection: close" in head.lower():
            return True
        self.ask()
        return False


def any_answer(connections: list[Connection]) -> bool:
    return any(connection.times for connection in connections)


def run(port: int, path: str, seconds: float, connections: int, cookie: str) -> dict[str, float]:
    """Return answers per second, and median and 99th percentile of their times in milliseconds."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept-Language: en"]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    selector = selectors.DefaultSelector()
    everybody = [Connection(port, request) for _ in range(connections)]
    start = time.perf_counter()
    for connection in everybody:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask()
    # A server that has just started may need a while for its first answer.
    while (took := time.perf_counter() - start) < seconds or (took < PATIENCE and not any_answer(everybody)):
        for key, _ in selector.select(1):
            if key.data.read():
                selector.unregister(key.data.socket)
                key.data.socket.close()
                key.data.open()
                selector.register(key.data.socket, selectors.EVENT_READ, key.data)
                key.data.ask()
    times = sorted(moment for connection in everybody for moment in connection.times)
    return {
        "per_second": len(times) / took,
        "median_ms": statistics.median(times) * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "bytes": everybody[0].size,
    }


if __name__ == "__main__":
    _, port, path, seconds, connections, *cookie = sys.argv
    print(json.dumps(run(int(port), path, float(seconds), int(connections), cookie[0] if cookie else "")))
