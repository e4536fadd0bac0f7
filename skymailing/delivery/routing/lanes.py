"""Keep a worker's sessions on several routes: a few lanes for owners' servers, and a limit for all sessions.

A lane is a route with its session pool. With many owners, a worker would otherwise keep sessions with
hundreds of mail servers.
"""

from collections.abc import Iterator

from skymailing.delivery.routing.concurrency import SessionLimits
from skymailing.delivery.routing.routes import list_configured
from skymailing.delivery.routing.servers import ServerAccess
from skymailing.delivery.routing.session_pool import SessionPool

MAX_LANES = 20  # for owners' servers


class Lanes:
    """The session pools of one worker, the most recently used one last."""

    def __init__(self, limits: SessionLimits, holder: str) -> None:
        self._limits = limits
        self._holder = holder
        self._configured = {name: SessionPool(name, limits, holder) for name in list_configured()}
        self._servers: dict[str, SessionPool] = {}

    def __iter__(self) -> Iterator[SessionPool]:
        """Yield the pools: first those of owners' servers, the least recently used one first."""
        yield from [*self._servers.values(), *self._configured.values()]

    def use(self, route: str, server: ServerAccess | None = None) -> SessionPool:
        """Return a route's pool; if it may need room, close other pools' sessions.

        `server` describes how to reach an owner's server; if it has changed, its sessions are closed.
        """
        pool = self._configured[route] if server is None else self._find(server)
        self._make_room(pool)
        return pool

    def _find(self, server: ServerAccess) -> SessionPool:
        pool = self._servers.pop(server.route, None)
        if pool is not None and pool.server != server:
            pool.disconnect()
            pool = None
        if pool is None:
            pool = SessionPool(server.route, self._limits, self._holder, server)
        self._servers[server.route] = pool
        if len(self._servers) > MAX_LANES:
            self._servers.pop(next(iter(self._servers))).disconnect()
        return pool

    def _make_room(self, pool: SessionPool) -> None:
        others = [other for other in self if other is not pool]
        count = sum(map(len, others))
        for other in others:
            if count + pool.concurrency.target <= self._limits.usual:
                return
            count -= len(other)
            other.disconnect()

    def release(self, only_scarce: bool = False) -> bool:
        """Close the sessions, or only those with servers that allow few; return whether there were any."""
        return sum(pool.release(only_scarce) for pool in self) > 0

    def disconnect(self) -> None:
        """Close all sessions."""
        for pool in self:
            pool.disconnect()
