"""Test that sessions are opened in groups, no larger than the number that the server has accepted."""

import itertools
import smtplib
import socket
import threading
from collections.abc import Callable

import pytest

from skymailing.delivery.smtp.opening import open_group
from skymailing.delivery.smtp.pipeline import Pipeline
from tests.delivery.handover import MemoryJournal, connect_to
from tests.faults.sink import Sink

pytestmark = pytest.mark.one_engine


def make_pipeline(open_smtp: Callable[[], smtplib.SMTP]) -> Pipeline:
    return Pipeline(open_smtp, "b@sky.example", MemoryJournal(), 5)


def test_sessions_are_opened_at_the_same_time() -> None:
    numbers = itertools.count()
    group = threading.Barrier(4)

    with Sink() as sink:

        def open_smtp() -> smtplib.SMTP:
            if next(numbers) >= 4:
                group.wait(60)  # raises an exception unless all four are being opened
            return connect_to(sink.port)

        pipeline = make_pipeline(open_smtp)
        pipeline.connect(8)
        assert len(pipeline) == 8
        pipeline.close()


def test_a_server_refuses_at_most_as_many_sessions_as_it_accepted() -> None:
    numbers = itertools.count()

    with Sink() as sink:

        def open_smtp() -> smtplib.SMTP:
            if next(numbers) >= 3:
                raise smtplib.SMTPConnectError(421, "4.7.0 too many connections")
            return connect_to(sink.port)

        pipeline = make_pipeline(open_smtp)
        with pytest.raises(smtplib.SMTPConnectError):
            pipeline.connect(20)
        assert len(pipeline) == 3
        assert next(numbers) <= 6
        pipeline.close()


def test_an_unexpected_exception_leaves_no_session_open() -> None:
    numbers = itertools.count()
    opened: list[smtplib.SMTP] = []

    with Sink() as sink:

        def open_smtp() -> smtplib.SMTP:
            if next(numbers) == 7:
                raise ZeroDivisionError
            opened.append(connect_to(sink.port))
            return opened[-1]

        pipeline = make_pipeline(open_smtp)
        with pytest.raises(ZeroDivisionError):
            pipeline.connect(8)
        assert len(pipeline) == 4
        pipeline.close()
        assert [smtp.sock for smtp in opened] == [None] * 7


def test_a_thread_that_cannot_start_leaves_no_session_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[smtplib.SMTP] = []
    numbers = itertools.count()
    start = threading.Thread.start

    def open_smtp() -> smtplib.SMTP:
        smtp = smtplib.SMTP()
        smtp.sock, other = socket.socketpair()
        other.close()
        opened.append(smtp)
        all_submitted.wait(60)
        return smtp

    def start_two(thread: threading.Thread) -> None:
        if next(numbers) == 2:
            all_submitted.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    all_submitted = threading.Event()
    monkeypatch.setattr(threading.Thread, "start", start_two)
    with pytest.raises(RuntimeError):
        open_group(open_smtp, 4)
    assert opened
    assert {smtp.sock for smtp in opened} == {None}
