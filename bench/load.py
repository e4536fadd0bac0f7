"""Generate HTTP load: python -m bench.load PORT PATH SECONDS CONNECTIONS [HEADER]; prints JSON.

Each connection sends a request, waits for the whole response and sends the next, as in `wrk`. The generator
is a single process: on two cores, a stronger one would take processor time from the server.
"""

import json
import selectors
import socket
import statistics
import sys
import time

FIRST_RESPONSE_SECONDS = 30.0  # time limit for a server that has just started


class Connection:
    """A persistent connection that sends one request after another."""

    def __init__(self, port: int, request: bytes) -> None:
        self.port = port
        self.request = request
        self.times: list[float] = []
        self.size = 0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_request(self) -> None:
        self.buffer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self.request)

    def receive(self) -> bool:
        """Read available data; return whether the connection must be reopened."""
        data = self.socket.recv(1 << 18)
        if not data:
            return True
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return False
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 302")):
            raise SystemExit(head.decode(errors="replace"))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        self.times.append(time.perf_counter() - self.sent_at)
        self.size = length
        if b"connection: close" in head.lower():
            return True
        self.send_request()
        return False


def has_any_response(connections: list[Connection]) -> bool:
    return any(connection.times for connection in connections)


def run(port: int, path: str, seconds: float, connections: int, header: str) -> dict[str, float]:
    """Return responses per second, percentiles of the response time, and the size of a response.

    Raise SystemExit if a response is neither 200 nor 302.
    """
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept-Language: en"]
    if header:
        lines.append(header)
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    selector = selectors.DefaultSelector()
    all_connections = [Connection(port, request) for _ in range(connections)]
    start = time.perf_counter()
    for connection in all_connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send_request()
    # The first response of a server that has just started may take longer than `seconds`.
    while (elapsed := time.perf_counter() - start) < seconds or (
        elapsed < FIRST_RESPONSE_SECONDS and not has_any_response(all_connections)
    ):
        for key, _ in selector.select(1):
            if key.data.receive():
                selector.unregister(key.data.socket)
                key.data.socket.close()
                key.data.open()
                selector.register(key.data.socket, selectors.EVENT_READ, key.data)
                key.data.send_request()
    times = sorted(response_time for connection in all_connections for response_time in connection.times)
    return {
        "per_second": len(times) / elapsed,
        "median_ms": statistics.median(times) * 1000,
        "p95_ms": times[int(len(times) * 0.95)] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "bytes": all_connections[0].size,
    }


if __name__ == "__main__":
    _, port, path, seconds, connections, *header = sys.argv
    print(json.dumps(run(int(port), path, float(seconds), int(connections), header[0] if header else "")))
