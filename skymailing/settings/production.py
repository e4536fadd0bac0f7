"""Check settings that are unsafe on the public internet; each check raises ConfigurationError."""

from urllib.parse import urlsplit

from skymailing.errors import ConfigurationError

MIN_KEY_LENGTH = 32  # characters
MIN_KEY_CHARACTERS = 8  # distinct characters in a key; a random key has more
PLACEHOLDERS = ("change", "secret", "example", "your", "default", "password", "insert")


def check_secret_key(key: str) -> None:
    """Check that the key is long and looks random."""
    if len(key) < MIN_KEY_LENGTH:
        raise ConfigurationError(
            f"Production needs a SECRET_KEY of at least {MIN_KEY_LENGTH} characters: openssl rand -hex 32"
        )
    if len(set(key)) < MIN_KEY_CHARACTERS or any(key.lower().startswith(word) for word in PLACEHOLDERS):
        raise ConfigurationError("Production needs a random SECRET_KEY: openssl rand -hex 32")


def check_public_url(text: str) -> None:
    """Check that the URL is encrypted and consists of the host only."""
    url = urlsplit(text)
    if url.scheme != "https" or not url.hostname or url.username or url.query or url.fragment:
        raise ConfigurationError(
            "Production needs a PUBLIC_URL with https:// and the host only, "
            "as in https://mailing.example.com."
        )
