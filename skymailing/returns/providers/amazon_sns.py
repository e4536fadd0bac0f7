"""Check the signatures of Amazon SNS notifications, and confirm subscriptions.

The signature proves only that SNS sent the notification, for any of Amazon's customers; the secret in our URL
proves it is for us. Certificates and confirmations are fetched only from SNS hosts.
"""

import http.client
import ipaddress
import logging
import re
import socket
import ssl
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from skymailing.returns.providers.events import BadPost, ForgedPost, Post, pick_text

logger = logging.getLogger(__name__)

HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]{2,9}){1,3}-\d{1,2}\.amazonaws\.com(\.cn)?")
CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem")
TIMEOUT = 5  # seconds, for each step of a request
MAX_PAGE = 64 * 1024
MAX_CERTIFICATES = 8
# The signed values, in this order (Subject only if there is one).
SIGNED_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
SIGNED_FIELDS["UnsubscribeConfirmation"] = SIGNED_FIELDS["SubscriptionConfirmation"]
# Certificates by URL: a new certificate has a new URL.
certificates: dict[str, bytes] = {}


class NotFetched(Exception):
    """A page could not be fetched, or does not belong to SNS."""


Connect = Callable[[str], ssl.SSLSocket]


def read(post: Post) -> dict[str, Any]:
    """Return a signed notification; if it asks to confirm a subscription, confirm it.

    Raises BadPost or ForgedPost.
    """
    values = post.read_json()
    type = pick_text(values, "Type")
    if type not in SIGNED_FIELDS:
        raise BadPost("not an SNS notification; turn off raw message delivery")
    check_signature(values)
    if type == "SubscriptionConfirmation":
        try:
            fetch(pick_text(values, "SubscribeURL"))
        except NotFetched as error:
            raise BadPost(f"the subscription was not confirmed: {error}") from error
        logger.info("Confirmed the subscription to %s", pick_text(values, "TopicArn"))
    return dict(values)


def check_signature(values: Any) -> None:
    """Raise ForgedPost unless SNS signed the notification."""
    # Slow to import, and only needed here.
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    hash = hashes.SHA256() if pick_text(values, "SignatureVersion") == "2" else hashes.SHA1()  # noqa: S303
    try:
        page = _fetch_certificate(pick_text(values, "SigningCertURL"))
        key = x509.load_pem_x509_certificate(page).public_key()
        signature = b64decode(pick_text(values, "Signature"), validate=True)
        if not isinstance(key, rsa.RSAPublicKey):
            raise ForgedPost("not an RSA certificate")
        key.verify(signature, make_signed_text(values), padding.PKCS1v15(), hash)
    except (InvalidSignature, ValueError, NotFetched) as error:
        raise ForgedPost(str(error)) from error


def make_signed_text(values: dict[str, Any]) -> bytes:
    """Return the text that SNS signs: each name and value on its own line."""
    names = [name for name in SIGNED_FIELDS[values["Type"]] if isinstance(values.get(name), str)]
    return "".join(f"{name}\n{values[name]}\n" for name in names).encode("utf-8", "replace")


def _fetch_certificate(url: str) -> bytes:
    if url not in certificates:
        if not CERTIFICATE_PATH.fullmatch(urlsplit(url).path):
            raise NotFetched("not an SNS certificate")
        page = fetch(url)
        while len(certificates) >= MAX_CERTIFICATES:
            certificates.pop(next(iter(certificates)))
        certificates[url] = page
    return certificates[url]


def connect_to_public_host(host: str) -> ssl.SSLSocket:
    """Connect to the host over TLS, at a public address; raises OSError."""
    address = str(socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)[0][4][0])
    if not ipaddress.ip_address(address).is_global:
        raise OSError(f"{host} has a private address")
    context = ssl.create_default_context()
    return context.wrap_socket(socket.create_connection((address, 443), TIMEOUT), server_hostname=host)


def fetch(url: str, connect: Connect = connect_to_public_host) -> bytes:
    """Fetch a page of SNS, without following redirects; raises NotFetched."""
    try:
        parts = urlsplit(url)
        is_sns = parts.scheme == "https" and HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        is_sns = False
    if not is_sns or not url.isascii() or not url.isprintable() or " " in url:
        raise NotFetched("not an SNS host")
    connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT)
    try:
        connection.sock = connect(parts.netloc)
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        page = response.read(MAX_PAGE)
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(type(error).__name__) from error
    finally:
        connection.close()
    if response.status != 200:
        raise NotFetched(f"status {response.status}")
    return page
