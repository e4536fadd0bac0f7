"""Check settings that contain addresses and URLs. Errors describe the correct form, and quote no password."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from skymailing.errors import ConfigurationError, UserError

# Quotes neither the value nor the library's message, since both can contain the password.
UNREADABLE = "{} cannot be read. It looks like {}; in a password, write / @ : # as %2F %40 %3A %23."
# Such an address needs no parser, whose import would slow down every command.
PLAIN_SENDER = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,20}")
# A local part has at most 64 characters (RFC 5321, 4.5.3.1.1); a + and the token take 41.
BOUNCE_NAME_LENGTH = 23
HOST_WITH_PORT = re.compile(r"(?P<host>[^:/\s]+):(?P<port>\d+)")
# Hosting providers supply URLs without a driver.
POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
DRIVER = "postgresql+psycopg"


def parse_sender(name: str, text: str) -> str:
    """Return the sender in the setting `name` as in a From field, with a normalized address:
    `news@example.com` or `Shop <news@example.com>`. Raises ConfigurationError.
    """
    if PLAIN_SENDER.fullmatch(text):
        return text
    from email.headerregistry import Address
    from email.policy import default as email_policy

    from skymailing.email_addresses import parse_address

    problem = ConfigurationError(
        f'{name} must be one email address, as in news@example.com or "Shop, Inc." <news@example.com>, '
        f"with a name that contains a comma in quotation marks, not {text!r}."
    )
    try:
        (found,) = email_policy.header_factory("From", text).addresses
        address = parse_address(found.addr_spec)
    except (UserError, ValueError) as error:
        raise problem from error
    return str(Address(found.display_name, addr_spec=address)) if found.display_name else address


def check_bounce_address(address: str) -> str:
    """Return an address to which tokens can be added; raises ConfigurationError."""
    name = address.rpartition("@")[0]
    if len(name) > BOUNCE_NAME_LENGTH or not name.isascii() or "+" in name:
        raise ConfigurationError(
            f"MAIL_BOUNCE_ADDRESS must have up to {BOUNCE_NAME_LENGTH} ASCII characters before the @ and no "
            "+, as in bounces@example.com: letters get a token after it, as in bounces+token@example.com."
        )
    return address


def check_host(name: str, text: str) -> str:
    """Return the host name of a server; raises ConfigurationError if the setting contains more."""
    port_name = name.replace("SERVER", "PORT")
    if found := HOST_WITH_PORT.fullmatch(text):
        raise ConfigurationError(
            f"{name} must be a host name only: write {name}={found['host']} and {port_name}={found['port']}."
        )
    if "/" in text or "@" in text or any(character.isspace() for character in text):
        raise ConfigurationError(
            f"{name} must be a host name only, as in mail.example.com; the port is {port_name}."
        )
    return text


def parse_networks(name: str, text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks in a list separated by commas; raises ConfigurationError."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigurationError(f"{name} must be networks, as in 10.0.0.0/8, fd00::/8: {error}.") from error


def is_redis_url(text: str) -> bool:
    """Return whether redis-py can read this URL."""
    try:
        url = urlsplit(text)
        if url.query:  # only redis-py knows the types of its options, and importing it takes a while
            from redis.connection import parse_url

            parse_url(text)  # type: ignore[no-untyped-call]
        _ = url.port  # raises ValueError unless it is a number
        return text.startswith(("redis://", "rediss://", "unix://"))
    except ValueError:
        return False


def parse_database_url(text: str) -> str:
    """Return the database's URL with the driver that is installed; raises ConfigurationError."""
    scheme, separator, remainder = text.partition("://")
    if scheme in POSTGRESQL:
        text = f"{DRIVER}{separator}{remainder}"
    elif scheme.startswith("postgresql+"):
        raise ConfigurationError(
            "DATABASE_URL names a driver that is not installed: write postgresql:// without a driver."
        )
    if not _is_supported(text):
        raise ConfigurationError(UNREADABLE.format("DATABASE_URL", "postgresql://user:password@host/name"))
    return text


def _is_supported(text: str) -> bool:
    try:
        url = make_url(text)
        return url.get_backend_name() == "sqlite" or (
            url.drivername == DRIVER and _is_parsed_alike(url, text)
        )
    except (ArgumentError, ValueError):
        return False


def _is_parsed_alike(url: URL, text: str) -> bool:
    """Return whether the standard library, which keeps passwords out of logs, finds the same password."""
    parts = urlsplit(text)
    return unquote(parts.password or "") == str(url.password or "") and parts.port == url.port
