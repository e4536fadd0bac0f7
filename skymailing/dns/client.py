"""Query DNS with a short timeout. Without a resolver, all queries after the first fail immediately.

dnspython is imported by the first client: it is large, and few processes need it.
"""

from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    import dns.resolver

TIMEOUT = 3.0  # seconds


class RecordMissing(Exception):
    """The name has no such record."""


class DnsUnavailable(Exception):
    """The query failed: no network, no resolver, or the domain's own servers are down."""


class DnsClient:
    """A client of the system's resolver, or of DNS_SERVER."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        import dns.exception

        self._failure = ""
        try:
            self._resolver = self._make_resolver(current_app.config["DNS_SERVER"])
            self._resolver.lifetime = timeout
        except (dns.exception.DNSException, OSError, ValueError) as error:
            self._failure = str(error) or type(error).__name__

    @staticmethod
    def _make_resolver(server: str | None) -> "dns.resolver.Resolver":
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=server is None)
        if server is not None:
            host, separator, port = server.rpartition(":")
            if separator and port.isdigit():
                resolver.nameservers, resolver.port = [host.strip("[]")], int(port)
            else:
                resolver.nameservers = [server]
        return resolver

    def query(self, name: str, kind: str) -> list[str]:
        """Return the records as text; the strings of a TXT record are joined.

        Raises RecordMissing or DnsUnavailable.
        """
        import dns.exception
        import dns.rdatatype
        import dns.resolver

        if self._failure:
            raise DnsUnavailable(self._failure)
        try:
            answer = self._resolver.resolve(name.rstrip(".") + ".", kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
            raise RecordMissing(name) from error
        except dns.resolver.LifetimeTimeout as error:
            self._failure = "no resolver responded"
            raise DnsUnavailable(self._failure) from error
        except dns.exception.DNSException as error:
            raise DnsUnavailable(
                str(error).splitlines()[0] if str(error) else type(error).__name__
            ) from error
        if answer.rdtype == dns.rdatatype.TXT:
            # PostgreSQL stores no NUL characters.
            return [
                b"".join(record.strings).decode("utf-8", "replace").replace("\0", "") for record in answer
            ]
        return [record.to_text() for record in answer]

    def exists(self, name: str, kind: str) -> bool:
        """Return whether the name has such a record; raises DnsUnavailable."""
        try:
            return bool(self.query(name, kind))
        except RecordMissing:
            return False
