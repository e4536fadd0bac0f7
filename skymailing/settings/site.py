"""Define how people can contact the operator of the site: an address for questions, and an imprint."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from skymailing.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The links on every page; empty values are omitted."""

    contact: str = ""  # an email address
    imprint: str = ""  # the URL of a page

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "SiteSettings":
        """Return SITE_CONTACT and SITE_IMPRINT; raises ConfigurationError."""
        return cls(
            _check_contact(environ.get("SITE_CONTACT", "").strip()),
            _check_imprint(environ.get("SITE_IMPRINT", "").strip()),
        )


def _check_contact(text: str) -> str:
    if not text:
        return ""
    # Imported here to keep commands fast; most installations have no such address.
    from skymailing.email_addresses import InvalidEmail, parse_address

    try:
        return parse_address(text)
    except InvalidEmail as error:
        raise ConfigurationError(
            f"SITE_CONTACT must be an email address like help@example.com, not {text!r}."
        ) from error


def _check_imprint(text: str) -> str:
    try:
        url = urlsplit(text)
        is_readable = url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        is_readable = False
    if text and (not is_readable or any(character.isspace() for character in text)):
        raise ConfigurationError(
            f"SITE_IMPRINT must be a URL like https://example.com/imprint, not {text!r}."
        )
    return text
