"""A TCP proxy that adds round-trip time: every byte arrives later, none waits for another.

    python -m bench.proxy LISTEN_PORT TARGET_PORT ROUND_TRIP_MS

Half of the time is added in each direction. What is on its way is not limited, as on a long line
with enough bandwidth; only the time counts.
"""

import asyncio
import sys
from collections import deque

QUIT = None  # in the queue: the other side closed


class Pipe(asyncio.Protocol):
    """One end of a connection; what it reads is written to `other` after the delay."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.transport: asyncio.Transport | None = None
        self.other: Pipe | None = None
        self._under_way: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._carry(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._carry(QUIT)

    def _carry(self, data: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self.delay
        self._under_way.append((due, data))
        if self._timer is None:
            self._timer = loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self.other is None or self.other.transport is None:
            self._timer = loop.call_later(self.delay, self._deliver)  # its connection is being made
            return
        now = loop.time()
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            arrived.append(self._under_way.popleft()[1])
        if data := b"".join(piece for piece in arrived if piece is not None):
            self.other.transport.write(data)
        if QUIT in arrived:
            self.other.transport.close()
        if self._under_way:
            self._timer = loop.call_at(self._under_way[0][0], self._deliver)


class Front(Pipe):
    """The end that a client connected to; opens the other one."""

    def __init__(self, delay: float, target: int) -> None:
        super().__init__(delay)
        self._target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        await asyncio.sleep(self.delay)
        back = Pipe(self.delay)
        back.other, self.other = self, back
        try:
            await asyncio.get_running_loop().create_connection(lambda: back, "127.0.0.1", self._target)
        except OSError:
            assert self.transport is not None
            self.transport.abort()


async def serve(port: int, target: int, delay: float) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Front(delay, target), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    listen, to, round_trip = sys.argv[1:]
    asyncio.run(serve(int(listen), int(to), float(round_trip) / 2000))
