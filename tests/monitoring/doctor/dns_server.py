"""A DNS server for tests: UDP on loopback, with records from a dictionary."""

import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = dict[tuple[str, str], list[str]]


class DnsServer:
    """Serves the records of `zone`, by name and type; fails for names in `broken`; can ignore queries."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.broken: set[str] = set()
        self.is_silent = False
        self.query_count = 0

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, sender = self._socket.recvfrom(4096)
            if not wire:
                return
            self.query_count += 1
            if not self.is_silent:
                self._socket.sendto(self._answer(dns.message.from_wire(wire)).to_wire(), sender)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        answer = dns.message.make_response(query, recursion_available=True)
        texts = self.zone.get((name, dns.rdatatype.to_text(question.rdtype)))
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts:
            answer.answer.append(
                dns.rrset.from_text_list(question.name, 60, dns.rdataclass.IN, question.rdtype, texts)
            )
        elif name not in {known for known, _ in self.zone}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
