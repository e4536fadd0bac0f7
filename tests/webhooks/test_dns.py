"""Test that a slow DNS server neither delays a call beyond its time limit nor keeps a worker busy."""

import socket
import threading
import time

import pytest

from skymailing.webhooks import sending
from skymailing.webhooks.sending import Call, Caller, CallFailed
from skymailing.webhooks.urls import EndpointUrl
from tests.webhooks.conftest import HOST
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.one_engine


def test_a_slow_dns_server_does_not_delay_the_deadline(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CALL_SECONDS", 0.5)
    ended = threading.Event()

    def hang(*_arguments: object, **_options: object) -> list[object]:
        ended.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    try:
        with pytest.raises(CallFailed, match="no response within"):
            Caller(EndpointUrl(HOST, receiver.port, "/")).send(Call({}, b"{}"))
    finally:
        ended.set()
    assert time.monotonic() - start < 20
    assert receiver.requests == []
