"""Provide real servers for the tests: Valkey, and an SMTP server that collects letters."""

import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path

import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from skymailing.processes.embedded_redis import redis_command
from skymailing.settings.redis_socket import embedded_redis_url
from tests.support.ports import find_free_port


class RedisServer:
    """A separate Valkey, started as `flask up` does."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.url = embedded_redis_url(data_dir)
        self.client = redis.Redis.from_url(self.url)

    def start(self) -> None:
        log = self.data_dir / "redis.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                redis_command(self.data_dir), stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@dataclass(frozen=True)
class Letter:
    """A letter that the SMTP server received in one transaction."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def to(self) -> str:
        (recipient,) = self.recipients
        return recipient

    @cached_property
    def parsed(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str:
        part = self.parsed.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.parsed.get_body(("html",))
        assert part is not None
        return str(part.get_content())


@dataclass
class SmtpServer:
    """A real SMTP server (aiosmtpd); `rcpt_replies` and `data_replies` define its replies by address."""

    letters: list[Letter] = field(default_factory=list)
    rcpt_replies: dict[str, str] = field(default_factory=dict)
    data_replies: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        # aiosmtpd connects to its own port to check that it is up, so the port cannot be 0.
        self.port = find_free_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()

    def stop(self) -> None:
        self.controller.stop()

    def clear(self) -> None:
        self.letters.clear()
        self.rcpt_replies.clear()
        self.data_replies.clear()

    def per_address(self) -> Counter[str]:
        """Return how many letters each address received."""
        return Counter(letter.to for letter in self.letters)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.rcpt_replies:
            return self.rcpt_replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        (address,) = envelope.rcpt_tos
        if address in self.data_replies:
            return self.data_replies[address]
        content = envelope.content
        assert isinstance(content, bytes)
        self.letters.append(Letter(envelope.mail_from or "", list(envelope.rcpt_tos), content))
        return f"250 2.0.0 queued as {len(self.letters)}"
