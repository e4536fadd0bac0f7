"""Read the settings from environment variables, with one class per environment (see README.md)."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from email.utils import parseaddr
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skymailing.errors import ConfigurationError
from skymailing.settings.addresses import (
    UNREADABLE,
    check_bounce_address,
    check_host,
    is_redis_url,
    parse_database_url,
    parse_networks,
    parse_sender,
)
from skymailing.settings.database import DatabaseLimits, build_engine_options
from skymailing.settings.engine import EngineSettings
from skymailing.settings.environment import EnvironmentReader
from skymailing.settings.oidc import OidcSettings
from skymailing.settings.production import check_public_url, check_secret_key
from skymailing.settings.quotas import QuotaSettings
from skymailing.settings.redis_socket import embedded_redis_url
from skymailing.settings.reputation import ReputationSettings
from skymailing.settings.retention import RetentionSettings
from skymailing.settings.returned_mail import ReturnedMailSettings
from skymailing.settings.site import SiteSettings

PROJECT_DIR = Path(__file__).resolve().parent
CATCHER_PORT = 2525


class Config(EnvironmentReader):
    """Settings that all environments share, read from one mapping of environment variables."""

    ENVIRONMENT = "development"
    DEBUG = False
    TESTING = False
    LANGUAGES = ("en", "ru")
    BABEL_DEFAULT_LOCALE = "en"
    BABEL_TRANSLATION_DIRECTORIES = "translations"
    # A form left open for hours can still be saved; the token expires with the session.
    WTF_CSRF_TIME_LIMIT = None
    DEVICE_COOKIE_NAME = "device"
    SESSION_COOKIE_HTTPONLY = True
    SESSION_COOKIE_SAMESITE = "Lax"
    REMEMBER_COOKIE_HTTPONLY = True
    REMEMBER_COOKIE_SAMESITE = "Lax"
    # Argon2id: about 50 ms and 32 MiB per password. A hash with other parameters is renewed at sign-in.
    PASSWORD_HASH_COST = {"time_cost": 2, "memory_cost": 32_768, "parallelism": 1}  # noqa: RUF012
    # Minimum seconds for a page whose timing must not reveal whether an address has an account.
    MIN_RESPONSE_SECONDS = 0.4
    CACHE_TYPE = "skymailing.caching.backend.SharedCache"  # in REDIS_URL
    MAX_CONTENT_LENGTH = 32 * 1024 * 1024  # bytes of a request; limits an import
    MAX_FORM_MEMORY_SIZE = 2 * 1024 * 1024  # bytes of one form field; limits a message's body
    RATELIMIT_IN_MEMORY_FALLBACK_ENABLED = True
    RATELIMIT_STORAGE_OPTIONS = {"socket_timeout": 2, "socket_connect_timeout": 2}  # noqa: RUF012 - seconds
    RATELIMIT_HEADERS_ENABLED = False
    # Fixed windows would allow twice the rate around the end of a window.
    RATELIMIT_STRATEGY = "moving-window"

    DEFAULT_LOG_FORMAT = "text"  # for a person at a terminal; production writes JSON

    MAIL_TIMEOUT = 30.0  # seconds to open a session with the mail server, and for each step of it

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.DATA_DIR = Path(self._text("DATA_DIR") or PROJECT_DIR / "instance").resolve()
        try:
            self.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.DATA_DIR.stat()
        except OSError as error:
            raise ConfigurationError(f"DATA_DIR cannot be created: {error}.") from error
        # Restrict the folder only if we own it: other programs may use it, too. `doctor` reports open
        # folders.
        if status.st_uid == os.getuid() and status.st_mode & 0o077:
            with contextlib.suppress(OSError):
                self.DATA_DIR.chmod(status.st_mode & 0o7700)
        self.SECRET_KEY = self._text("SECRET_KEY") or self._generated_secret()
        self.HOST = self._text("HOST") or "127.0.0.1"
        self.PORT = self._port("PORT", 5000)
        # The number of proxies in front of the web server that add to X-Forwarded-For and X-Forwarded-Proto.
        self.TRUSTED_PROXIES = self._number("TRUSTED_PROXIES", 0)
        self.PUBLIC_URL = self._public_url()
        self.DEFAULT_TIMEZONE = self._timezone()
        self.WORKERS = self._number("WORKERS", 2)
        # For `doctor` only: the resolver as host or host:port, and the mail server's DKIM selector.
        self.DNS_SERVER = self._text("DNS_SERVER")
        self.MAIL_DKIM_SELECTOR = self._text("MAIL_DKIM_SELECTOR")
        self.METRICS_TOKEN = self._text("METRICS_TOKEN")
        self._read_logs()
        self.ENGINE = EngineSettings.from_environment(environ)
        self.RETENTION = RetentionSettings.from_environment(environ)
        self.QUOTAS = QuotaSettings.from_environment(environ)
        self.SITE = SiteSettings.from_environment(environ)
        self.OIDC = OidcSettings.from_environment(environ, self._flag("OIDC_CREATE_USERS"))
        self.REPUTATION = ReputationSettings.from_environment(environ)
        # Days between the request to delete an account and its deletion. The owner can still keep it.
        self.ACCOUNT_GRACE_DAYS = self._number("ACCOUNT_GRACE_DAYS", 7)
        self._read_stores()
        self._read_mail()
        self.RETURNED_MAIL = ReturnedMailSettings.from_environment(environ)

    def _read_logs(self) -> None:
        self.LOG_FORMAT = self._choice("LOG_FORMAT", ("json", "text"), self.DEFAULT_LOG_FORMAT)
        levels = ("DEBUG", "INFO", "WARNING", "ERROR")
        self.LOG_LEVEL = self._choice("LOG_LEVEL", levels, "INFO")

    def _read_stores(self) -> None:
        self.SQLALCHEMY_DATABASE_URI = self._database_url()
        limits = DatabaseLimits(self._environ).read()
        self.SQLALCHEMY_ENGINE_OPTIONS = build_engine_options(self.SQLALCHEMY_DATABASE_URI, limits)
        self.EMBEDDED_REDIS = not self._text("REDIS_URL")
        self.REDIS_URL = self._redis_url()
        self.RATELIMIT_STORAGE_URI = self._limits_storage_url()

    def _read_mail(self) -> None:
        self.MAIL_CATCHER = not self._text("MAIL_SERVER")
        self.MAIL_SERVER = check_host("MAIL_SERVER", self._text("MAIL_SERVER") or "127.0.0.1")
        self.MAIL_PORT = self._port("MAIL_PORT", CATCHER_PORT if self.MAIL_CATCHER else 25)
        self.MAIL_USE_TLS = self._flag("MAIL_USE_TLS")
        self.MAIL_USE_SSL = self._flag("MAIL_USE_SSL")
        self.MAIL_USERNAME = self._text("MAIL_USERNAME")
        self.MAIL_PASSWORD = self._text("MAIL_PASSWORD")
        sender = self._text("MAIL_DEFAULT_SENDER") or "skymailing@localhost.localdomain"
        self.MAIL_DEFAULT_SENDER = parse_sender("MAIL_DEFAULT_SENDER", sender)
        self.UNSUBSCRIBE_MAILBOX = self._mailbox("UNSUBSCRIBE_MAILBOX")
        self.COMPLAINT_MAILBOX = self._mailbox("COMPLAINT_MAILBOX")
        self.MAIL_BOUNCE_ADDRESS = check_bounce_address(self._mailbox("MAIL_BOUNCE_ADDRESS"))
        # Sessions of each worker. If an operator sets the limit, it also applies to distant servers by
        # default.
        nearby = self.MAIL_MAX_CONNECTIONS = self._number("MAIL_MAX_CONNECTIONS", 24, 1, 1000)
        distant = nearby if self._text("MAIL_MAX_CONNECTIONS") else 48
        self.MAIL_MAX_DISTANT_CONNECTIONS = self._number(
            "MAIL_MAX_DISTANT_CONNECTIONS", distant, nearby, 1000
        )
        # Letters per second, across all workers; None means no limit.
        self.MAIL_RATE = self._number("MAIL_RATE", 0) or None
        self.MAIL_RATE_PER_MAILING = self._number("MAIL_RATE_PER_MAILING", 0) or None
        self.MAIL_RATE_PER_DOMAIN = self._number("MAIL_RATE_PER_DOMAIN", 0) or None
        self.MAIL_FALLBACK = self._fallback()
        # Private networks in which users' mail servers may be; public addresses are always allowed.
        networks = self._text("MAIL_SERVERS_PRIVATE_NETWORKS") or ""
        self.MAIL_SERVERS_PRIVATE_NETWORKS = parse_networks("MAIL_SERVERS_PRIVATE_NETWORKS", networks)
        # Private networks that users' webhooks may call; public addresses are always allowed.
        networks = self._text("WEBHOOKS_PRIVATE_NETWORKS") or ""
        self.WEBHOOKS_PRIVATE_NETWORKS = parse_networks("WEBHOOKS_PRIVATE_NETWORKS", networks)
        # Flask-Mail sends nothing while TESTING is on, but our tests use a real server.
        self.MAIL_SUPPRESS_SEND = False
        if self.MAIL_USE_TLS and self.MAIL_USE_SSL:
            raise ConfigurationError("Set only one of MAIL_USE_TLS (STARTTLS) and MAIL_USE_SSL.")

    def _mailbox(self, name: str) -> str:
        text = self._text(name)
        return parseaddr(parse_sender(name, text))[1] if text else ""

    def _fallback(self) -> SimpleNamespace | None:
        """Return the fallback mail server, used while the primary server's breaker is open."""
        server = self._text("MAIL_FALLBACK_SERVER")
        if server is None:
            return None
        return SimpleNamespace(
            server=check_host("MAIL_FALLBACK_SERVER", server),
            port=self._port("MAIL_FALLBACK_PORT", 25),
            use_tls=self._flag("MAIL_FALLBACK_USE_TLS"),
            use_ssl=self._flag("MAIL_FALLBACK_USE_SSL"),
            username=self._text("MAIL_FALLBACK_USERNAME"),
            password=self._text("MAIL_FALLBACK_PASSWORD"),
        )

    def _public_url(self) -> str:
        text = (self._text("PUBLIC_URL") or f"http://{self.HOST}:{self.PORT}").rstrip("/")
        try:
            url = urlsplit(text)
            is_readable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            is_readable = False
        if not is_readable or any(character.isspace() for character in text):
            raise ConfigurationError(UNREADABLE.format("PUBLIC_URL", "https://mailing.example.com"))
        return text

    def _timezone(self) -> str:
        name = self._text("DEFAULT_TIMEZONE") or "UTC"
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(f"DEFAULT_TIMEZONE: there is no time zone {name!r}.") from error
        return name

    def _database_url(self) -> str:
        return parse_database_url(
            self._text("DATABASE_URL") or f"sqlite:///{self.DATA_DIR / 'skymailing.db'}"
        )

    def _redis_url(self) -> str:
        url = self._text("REDIS_URL") or embedded_redis_url(self.DATA_DIR)
        if not is_redis_url(url):
            raise ConfigurationError(UNREADABLE.format("REDIS_URL", "redis://:password@host:6379/0"))
        return url

    def _limits_storage_url(self) -> str:
        # `limits` and redis-py use different URL schemes for unix sockets.
        return self.REDIS_URL.replace("unix://", "redis+unix://", 1)

    def _generated_secret(self) -> str:
        """Return the key stored in DATA_DIR, created on first use, so that sessions survive a restart."""
        path = self.DATA_DIR / "secret-key"
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass
        return path.read_text()


class DevelopmentConfig(Config):
    """For development: all servers are bundled, and letters go to the mail catcher."""


class TestingConfig(Config):
    """For the test suite: real servers, but no throttling and no CSRF tokens."""

    __test__ = False  # pytest would collect it because of its name
    ENVIRONMENT = "testing"
    TESTING = True
    WTF_CSRF_ENABLED = False
    RATELIMIT_ENABLED = False
    PASSWORD_HASH_COST = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}  # noqa: RUF012 - cheap, for thousands of sign-ins
    MIN_RESPONSE_SECONDS = 0.0


class ProductionConfig(Config):
    """For the public internet: refuses to start with an unsafe setting."""

    ENVIRONMENT = "production"
    DEFAULT_LOG_FORMAT = "json"
    PREFERRED_URL_SCHEME = "https"
    SESSION_COOKIE_SECURE = True
    REMEMBER_COOKIE_SECURE = True
    # Browsers accept such a cookie only from this host, over HTTPS: no other host of the domain can set it.
    SESSION_COOKIE_NAME = "__Host-session"
    REMEMBER_COOKIE_NAME = "__Host-remember"
    DEVICE_COOKIE_NAME = "__Host-device"

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        check_secret_key(self._text("SECRET_KEY") or "")
        check_public_url(self.PUBLIC_URL)
        if self._flag("FLASK_DEBUG"):
            raise ConfigurationError(
                "FLASK_DEBUG must not be set in production: it shows the code to visitors."
            )
        redis = urlsplit(self.REDIS_URL)
        if redis.scheme != "unix" and not redis.password:
            raise ConfigurationError(
                "Production needs a password in REDIS_URL, as in redis://:password@host:6379/0: "
                "without one, every program that can reach Redis can stop all sending."
            )
        if self.MAIL_CATCHER:
            raise ConfigurationError("Production needs a MAIL_SERVER; the mail catcher is for development.")
        name, _at, domain = parseaddr(self._text("MAIL_DEFAULT_SENDER") or "")[1].rpartition("@")
        if not name or "." not in domain.strip("."):
            raise ConfigurationError(
                "Production needs MAIL_DEFAULT_SENDER, the sender address of letters, as in news@example.com."
            )


ENVIRONMENTS = {
    "development": DevelopmentConfig,
    "testing": TestingConfig,
    "production": ProductionConfig,
}


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """Return the settings for SKYMAILING_ENV; raises ConfigurationError, naming the setting to correct."""
    environ = os.environ if environ is None else environ
    name = environ.get("SKYMAILING_ENV") or "development"
    if name not in ENVIRONMENTS:
        raise ConfigurationError(f"SKYMAILING_ENV must be one of {', '.join(ENVIRONMENTS)}, not {name!r}.")
    return ENVIRONMENTS[name](environ)
