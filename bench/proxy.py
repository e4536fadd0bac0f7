"""Run a TCP proxy that adds latency without limiting throughput.

    python -m bench.proxy LISTEN_PORT TARGET_PORT ROUND_TRIP_MS

Half of the round-trip time is added in each direction. The amount of data in transit is not limited, as on a
long-distance connection with enough bandwidth.
"""

import asyncio
import sys
from collections import deque

CLOSED = None  # queued after the data when the peer has closed its connection


class Side(asyncio.Protocol):
    """The proxy's connection to one side; the data that it receives is written to `other` after the delay."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self._in_transit: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._enqueue(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._enqueue(CLOSED)

    def _enqueue(self, data: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self.delay
        self._in_transit.append((due, data))
        if self._timer is None:
            self._timer = loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self.other is None or self.other.transport is None:
            self._timer = loop.call_later(self.delay, self._deliver)  # the other connection is not open yet
            return
        now = loop.time()
        arrived = []
        while self._in_transit and self._in_transit[0][0] <= now:
            arrived.append(self._in_transit.popleft()[1])
        if data := b"".join(piece for piece in arrived if piece is not None):
            self.other.transport.write(data)
        if CLOSED in arrived:
            self.other.transport.close()
        if self._in_transit:
            self._timer = loop.call_at(self._in_transit[0][0], self._deliver)


class ClientSide(Side):
    """The connection to a client; it opens the connection to the server."""

    def __init__(self, delay: float, target: int) -> None:
        super().__init__(delay)
        self._target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        await asyncio.sleep(self.delay)
        server_side = Side(self.delay)
        server_side.other, self.other = self, server_side
        try:
            await asyncio.get_running_loop().create_connection(lambda: server_side, "127.0.0.1", self._target)
        except OSError:
            assert self.transport is not None
            self.transport.abort()


async def serve(port: int, target: int, delay: float) -> None:
    """Run the proxy until the process is killed."""
    server = await asyncio.get_running_loop().create_server(
        lambda: ClientSide(delay, target), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    listen_port, target_port, round_trip_ms = sys.argv[1:]
    asyncio.run(serve(int(listen_port), int(target_port), float(round_trip_ms) / 2000))
