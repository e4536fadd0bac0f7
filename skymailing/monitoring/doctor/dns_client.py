"""Asking DNS with little patience: a host without it is told so once, and quickly."""

import dns.exception
import dns.rdatatype
import dns.resolver
from flask import current_app

SECONDS = 3.0


class NotThere(Exception):
    """The name has no such record."""


class NotAsked(Exception):
    """Nobody answers: no network, no resolver, or the domain's own servers are away."""


class DnsClient:
    """Asks the system's resolver, or DNS_SERVER."""

    def __init__(self) -> None:
        self._failure = ""
        try:
            self._resolver = self._make_resolver(current_app.config["DNS_SERVER"])
        except (dns.exception.DNSException, OSError, ValueError) as error:
            self._failure = str(error) or type(error).__name__

    @staticmethod
    def _make_resolver(server: str | None) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=server is None)
        resolver.lifetime = SECONDS
        if server is not None:
            host, separator, port = server.rpartition(":")
            if separator and port.isdigit():
                resolver.nameservers, resolver.port = [host.strip("[]")], int(port)
            else:
                resolver.nameservers = [server]
        return resolver

    def ask(self, name: str, kind: str) -> list[str]:
        """Return the records' texts, those of a TXT record put together; raises NotThere or NotAsked."""
        if self._failure:
            raise NotAsked(self._failure)
        try:
            answer = self._resolver.resolve(name.rstrip(".") + ".", kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
            raise NotThere(name) from error
        except dns.resolver.LifetimeTimeout as error:
            self._failure = "no resolver answers"
            raise NotAsked(self._failure) from error
        except dns.exception.DNSException as error:
            raise NotAsked(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        if answer.rdtype == dns.rdatatype.TXT:
            return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
        return [record.to_text() for record in answer]

    def exists(self, name: str, kind: str) -> bool:
        """Whether there is any such record; raises NotAsked."""
        try:
            return bool(self.ask(name, kind))
        except NotThere:
            return False
