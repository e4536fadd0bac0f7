"""Connect to public addresses only, so that a host name entered by a user cannot lead into our own network.

The name is looked up once, and the socket is connected to an address that was checked. A second lookup could
return a different address, chosen by the domain's owner (DNS rebinding).
"""

import functools
import math
import socket
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

# IPv6 ranges that embed an IPv4 address and reach it through a translator or a tunnel. `is_global` rejects
# mapped addresses and Teredo, but not these.
IPV4_EMBEDDING = (ip_network("64:ff9b::/96"), ip_network("2002::/16"), ip_network("::/96"))


class NotPublic(OSError):
    """The host has no address that we may connect to."""


def is_public(text: str) -> bool:
    """Return whether the address belongs to the public internet."""
    address = ip_address(text.partition("%")[0])
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv6Address):
        return not address.is_site_local and not any(address in network for network in IPV4_EMBEDDING)
    return True


def connect(
    host: str,
    port: int,
    timeout: float,
    allowed: Collection[Network] = (),
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> socket.socket:
    """Connect to one of the host's addresses that is public or in one of the `allowed` networks.

    `timeout` (seconds) limits each attempt. `seconds_left` limits the lookup and all attempts together, and
    may raise TimeoutError. Raises NotPublic if no address may be used, or OSError if the lookup or every
    attempt fails.
    """
    found = look_up(host, port, seconds_left())
    usable = [entry for entry in found if _is_usable(entry[4][0], allowed)]
    if not usable:
        raise NotPublic(f"{host} has no public address")
    for number, (family, kind, protocol, _name, address) in enumerate(usable, 1):
        limit = min(timeout, seconds_left())
        try:
            return _connect(socket.socket(family, kind, protocol), address, limit, allowed)
        except OSError:
            if number == len(usable):
                raise
    raise AssertionError("there is at least one address")


def look_up(host: str, port: int, seconds: float) -> list[Any]:
    """Return the host's addresses; raises OSError, and TimeoutError after `seconds`.

    The system's resolver has no time limit, so it runs in a separate thread, which is abandoned if it is too
    slow and ends with the resolver's own timeouts.
    """
    find = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    if math.isinf(seconds):
        return find()
    found: Future[list[Any]] = Future()

    def run() -> None:
        try:
            found.set_result(find())
        except Exception as error:  # any error: raised again where the result is read
            found.set_exception(error)

    threading.Thread(target=run, name="dns", daemon=True).start()
    return found.result(timeout=seconds)


def _connect(
    connected: socket.socket, address: Any, timeout: float, allowed: Collection[Network]
) -> socket.socket:
    try:
        connected.settimeout(timeout)
        connected.connect(address)
        local, peer = connected.getsockname()[0], connected.getpeername()[0]
        # Refuse a public address of this host: programs that listen there may trust local connections.
        if local == peer and not _is_in(peer, allowed):
            raise NotPublic(f"{peer} is an address of this host")
    except BaseException:  # including a stop or a job's timeout: no connection may stay open
        connected.close()
        raise
    return connected


def _is_usable(text: Any, allowed: Collection[Network]) -> bool:
    return is_public(str(text)) or _is_in(str(text), allowed)


def _is_in(text: str, networks: Collection[Network]) -> bool:
    address = ip_address(text.partition("%")[0])
    return any(address.version == network.version and address in network for network in networks)
