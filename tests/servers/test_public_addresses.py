"""Test that connections lead only to public addresses, even if a name resolves to others."""

import socket
from ipaddress import ip_network

import pytest

from skymailing.delivery.smtp import public_addresses
from skymailing.delivery.smtp.public_addresses import NotPublic, connect, is_public
from tests.faults.sink import Sink

PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.0.1", "198.18.0.1"),
    *("::", "::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("64:ff9b::a00:1", "2002:7f00:1::1", "::7f00:1", "2001:0:1::1", "2001:db8::1"),
)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_rejected(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "77.88.21.158", "2a02:6b8::1:119", "2001:4860:4860::8888"])
def test_public_addresses_are_accepted(address: str) -> None:
    assert is_public(address)


def test_a_name_that_resolves_to_a_private_address_gets_no_connection(
    addresses: dict[str, list[str]],
) -> None:
    with Sink() as sink:
        addresses["mail.evil.example"] = ["127.0.0.1"]
        for host in ("mail.evil.example", "127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1"):
            with pytest.raises(NotPublic):
                connect(host, sink.port, 5)
        assert sink.connections == 0


def test_a_name_that_changes_its_address_is_connected_to_the_checked_one(
    addresses: dict[str, list[str]],
) -> None:
    """DNS rebinding: the second lookup would lead to another server."""
    with Sink(host="127.0.0.2") as checked, Sink(port=checked.port) as other:
        addresses["mail.evil.example"] = ["127.0.0.2", "127.0.0.1"]
        connected = connect("mail.evil.example", checked.port, 5, [ip_network("127.0.0.2/32")])
        assert connected.getpeername()[0] == "127.0.0.2"
        connected.close()
        assert addresses["mail.evil.example"] == ["127.0.0.1"], "it was looked up once"
        assert other.connections == 0


def test_the_next_address_is_tried_if_the_first_one_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink(host="127.0.0.2") as sink:
        entries = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, sink.port)) for ip in ("127.0.0.3", "127.0.0.2")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
        connect("mail.shop.example", sink.port, 5, [ip_network("127.0.0.0/8")]).close()


def test_a_public_address_of_this_host_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink() as sink:
        monkeypatch.setattr(public_addresses, "is_public", lambda _: True)
        with pytest.raises(NotPublic, match="this host"):
            connect("127.0.0.1", sink.port, 5)
