"""Call endpoints that lead into our own network, or respond in harmful ways."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import CallState, User, WebhookCall
from skymailing.webhooks import sending
from skymailing.webhooks.sending import Call, Caller, CallFailed, CallResponse
from skymailing.webhooks.urls import EndpointUrl
from tests.support.timing import cpu_seconds
from tests.webhooks.conftest import HOST, Emit, ListCalls, MakeEndpoint, SendCalls
from tests.webhooks.receiver import OK, Received, Receiver, response_of

pytestmark = pytest.mark.one_engine

LOOPBACK = (ip_network("127.0.0.0/8"),)
Addresses = dict[str, list[list[str]]]


@pytest.fixture
def send(receiver: Receiver) -> Iterator[Callable[[], CallResponse]]:
    """Return a function that sends a call to the receiver."""
    callers: list[Caller] = []

    def send_call() -> CallResponse:
        callers.append(Caller(EndpointUrl(HOST, receiver.port, "/hook"), LOOPBACK))
        return callers[-1].send(Call({"webhook-id": "evt_1"}, b"{}"))

    yield send_call
    for caller in callers:
        if connection := caller.give_back():
            connection.close()


@pytest.mark.parametrize(
    "listed",
    [
        ["127.0.0.1"],
        ["10.0.0.5"],
        ["192.168.1.1"],
        ["172.16.0.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        ["255.255.255.255"],
        ["224.0.0.1"],
        ["::1"],
        ["::"],
        ["fd00::1"],
        ["fe80::1"],
        ["fec0::1"],
        ["::ffff:127.0.0.1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["2001:0:7f00:1::1"],
        ["ff02::1"],
        ["10.0.0.5", "fd00::1", "127.0.0.1"],
    ],
    ids=" ".join,
)
def test_addresses_of_our_network_are_never_called(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch, listed: list[str]
) -> None:
    addresses["inside.example"] = [listed]
    connected: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda _socket, address: connected.append(address))

    with pytest.raises(CallFailed, match="the host has no public address"):
        Caller(EndpointUrl("inside.example", 443, "/")).send(Call({}, b"{}"))

    assert connected == []


def test_of_public_and_private_addresses_only_the_public_ones_are_called(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses["mixed.example"] = [["10.0.0.5", "93.184.215.14", "127.0.0.1"]]
    connected: list[object] = []

    def refuse(_socket: object, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.socket.connect", refuse)

    with pytest.raises(CallFailed, match="Connection refused"):
        Caller(EndpointUrl("mixed.example", 443, "/")).send(Call({}, b"{}"))

    assert connected == [("93.184.215.14", 443)]


def test_the_host_is_resolved_once_per_connection(
    receiver: Receiver, addresses: Addresses, send: Callable[[], CallResponse]
) -> None:
    """A name whose second answer leads elsewhere (DNS rebinding) is connected to the checked address."""
    addresses[HOST] = [["127.0.0.1"], ["10.0.0.5"]]

    assert send().is_accepted
    with pytest.raises(CallFailed, match="the host has no public address"):
        send()
    assert len(receiver.requests) == 1


def test_an_address_of_this_host_is_not_called_even_if_it_is_public(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.delivery.smtp.public_addresses.is_public", lambda _text: True)

    with pytest.raises(CallFailed, match="the host has no public address"):
        Caller(EndpointUrl(HOST, receiver.port, "/")).send(Call({}, b"{}"))

    assert receiver.requests == []


def test_a_certificate_for_another_name_is_refused(receiver: Receiver, addresses: Addresses) -> None:
    addresses["other.example"] = [["127.0.0.1"]]

    with pytest.raises(CallFailed, match="certificate is not valid"):
        Caller(EndpointUrl("other.example", receiver.port, "/"), LOOPBACK).send(Call({}, b"{}"))

    assert receiver.requests == []


def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, send: Callable[[], CallResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert send().is_accepted


def test_a_redirect_is_not_followed(receiver: Receiver, send: Callable[[], CallResponse]) -> None:
    receiver.respond_with(response_of(307, "", f"Location: https://{HOST}:{receiver.port}/again\r\n"))

    response = send()

    assert (response.code, response.is_accepted) == (307, False)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (response_of(200, "x" * 500), CallResponse(200, "x" * 200)),
        (response_of(200, "a\r\n\x1b[31mb\x00c"), CallResponse(200, "a [31mb c")),
        (response_of(200, "Привет"), CallResponse(200, "Привет")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", CallResponse(204, "")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", CallResponse(200, "until the end")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            CallResponse(200, "abc"),
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", CallResponse(200, "")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut off", CallResponse(200, "cut off")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, CallResponse(200, "ok")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \xff\r\n\r\n", CallResponse(200, "")),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10**7)),
            CallResponse(200, ""),
        ),
    ],
)
def test_the_start_of_a_response_is_kept_as_text(
    receiver: Receiver, send: Callable[[], CallResponse], response: bytes, expected: CallResponse
) -> None:
    receiver.respond_with(response)

    found = send()

    assert (found.code, found.text) == (expected.code, expected.text)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not valid HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", "too long|not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000, "too long|not valid HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "too long"),
        (b"", "no connection|not valid HTTP"),
    ],
)
def test_responses_that_are_not_http_are_faults(
    receiver: Receiver, send: Callable[[], CallResponse], response: bytes, reason: str
) -> None:
    receiver.respond_with(response)

    with pytest.raises(CallFailed, match=reason):
        send()


def test_an_endless_response_is_not_read_to_its_end(
    receiver: Receiver, send: Callable[[], CallResponse]
) -> None:
    def stream(connection: ssl.SSLSocket, _request: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"more" * 1000)

    receiver.respond = stream

    with cpu_seconds(1.0):
        assert send().code == 200


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX: "], ids=["silent", "drips"])
def test_a_slow_response_ends_at_the_deadline(
    receiver: Receiver,
    send: Callable[[], CallResponse],
    monkeypatch: pytest.MonkeyPatch,
    beginning: bytes,
) -> None:
    monkeypatch.setattr(sending, "CALL_SECONDS", 0.5)
    ended = threading.Event()

    def drip(connection: ssl.SSLSocket, _request: Received) -> bool:
        connection.sendall(beginning)
        while not ended.wait(0.05) and beginning:
            connection.sendall(b"x")
        ended.wait(30)
        return False

    receiver.respond = drip
    start = time.monotonic()
    try:
        with pytest.raises(CallFailed, match="no response within"):
            send()
    finally:
        ended.set()
    assert time.monotonic() - start < 20


def test_a_code_counts_even_if_the_text_does_not_end(
    receiver: Receiver, send: Callable[[], CallResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CALL_SECONDS", 0.5)
    ended = threading.Event()

    def hang(connection: ssl.SSLSocket, _request: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        return not ended.wait(30)

    receiver.respond = hang
    try:
        assert send().code == 200
    finally:
        ended.set()


def test_header_values_cannot_contain_line_breaks(receiver: Receiver) -> None:
    caller = Caller(EndpointUrl(HOST, receiver.port, "/"), LOOPBACK)

    with pytest.raises(CallFailed):
        caller.send(Call({"webhook-id": "evt_1\r\nX-Admin: yes"}, b"{}"))

    assert receiver.requests == []


def test_a_private_address_is_recorded_as_a_fault_of_the_endpoint(
    app: Flask,
    session: Session,
    user: User,
    addresses: Addresses,
    make_endpoint: MakeEndpoint,
    emit: Emit,
    send_calls: SendCalls,
    list_calls: ListCalls,
) -> None:
    make_endpoint(user, 443)
    emit(user, {"n": 1})

    send_calls()

    call: WebhookCall
    (call,) = list_calls()
    assert (call.state, call.last_code) == (CallState.PENDING, None)
    assert call.last_response == "the host has no public address"
