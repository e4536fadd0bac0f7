"""Check the site as visitors see it: PUBLIC_URL, its certificate and its clock."""

import http.client
import ssl
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from flask import current_app

from skymailing.clock import utcnow
from skymailing.monitoring.checks import Check

TIMEOUT = 5.0  # seconds
MIN_VALIDITY = timedelta(days=14)
RENEWAL = "Renew the certificate: certbot renew. To see why certbot did not: systemctl status certbot.timer."


@dataclass(frozen=True)
class Visit:
    """The result of one request to the site's /healthz."""

    url: str
    error: str = ""
    status: int = 0
    body: bytes = b""
    certificate_ends: datetime | None = None
    date: datetime | None = None


def visit_site() -> Visit:
    """Request the site's /healthz, bypassing this host's proxy settings."""
    url = f"{current_app.config['PUBLIC_URL']}/healthz"
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    )
    try:
        with closing(connection):
            connection.connect()
            ends = read_expiry(connection.sock)
            connection.request("GET", parts.path)
            response = connection.getresponse()
            return Visit(url, "", response.status, response.read(100), ends, _date(response.headers["Date"]))
    except ssl.SSLCertVerificationError as error:
        return Visit(url, f"its certificate is invalid: {error.verify_message}")
    except (OSError, http.client.HTTPException) as error:
        return Visit(url, str(error) or type(error).__name__)


def read_expiry(sock: object) -> datetime | None:
    """Return when the peer's certificate expires; None without TLS."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    certificate = sock.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def check_site(visit: Visit) -> Check:
    """Check that PUBLIC_URL, which is in the links of letters, leads to this service."""
    if visit.error:
        advice = (
            "Check PUBLIC_URL, its DNS record, the firewall and nginx. If the name cannot be "
            "reached only from this host, add it to /etc/hosts with 127.0.0.1."
        )
        return Check("site", False, f"{visit.url}: {visit.error}", advice)
    if visit.status != 200 or visit.body.strip() != b"ok":
        finding = f"{visit.url} returned status {visit.status}, and the response is not from this service"
        return Check("site", False, finding, "Set PUBLIC_URL to the URL at which people reach the service.")
    return Check("site", True, f"{visit.url} responds")


def check_certificate(visit: Visit) -> Check:
    """Check that the site's certificate is valid for at least two more weeks."""
    if visit.certificate_ends is None:
        return Check("certificate", True, "could not be checked", is_known=False)
    return judge_certificate("certificate", visit.certificate_ends, RENEWAL)


def judge_certificate(name: str, ends: datetime, advice: str) -> Check:
    """Report how long a certificate is valid, with advice if it expires soon."""
    days = (ends - utcnow()).days
    is_ok = ends - utcnow() > MIN_VALIDITY
    return Check(name, is_ok, f"valid for {days} more days, until {ends:%Y-%m-%d}", "" if is_ok else advice)
