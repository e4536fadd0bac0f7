"""Provide a DNS server for tests: UDP on loopback, with records from a dictionary."""

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
    """A server for `zone`; it fails for names in `broken`, and ignores all queries if `is_silent`."""

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
                self._socket.sendto(self._respond(dns.message.from_wire(wire)).to_wire(), sender)

    def _respond(self, query: dns.message.Message) -> dns.message.Message:
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        response = dns.message.make_response(query, recursion_available=True)
        records = self.zone.get((name, dns.rdatatype.to_text(question.rdtype)))
        if name in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            response.answer.append(
                dns.rrset.from_text_list(question.name, 60, dns.rdataclass.IN, question.rdtype, records)
            )
        elif name not in {existing for existing, _ in self.zone}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response
