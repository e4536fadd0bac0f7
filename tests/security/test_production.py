"""Test that production rejects and names every unsafe setting, and that errors contain no secrets."""

import os
import stat
import subprocess
import sys
import traceback
from email.utils import parseaddr
from pathlib import Path

import pytest

from config import ProductionConfig, load_config
from skymailing.errors import ConfigurationError

SAFE = {
    "SKYMAILING_ENV": "production",
    "SECRET_KEY": "a long key that is used in this test alone",
    "MAIL_SERVER": "mail.example.com",
    "MAIL_DEFAULT_SENDER": "letters@example.com",
    "PUBLIC_URL": "https://mailing.example.com",
    "DATABASE_URL": "postgresql://sky:pw@db.example.com/sky",
    "REDIS_URL": "redis://:pw@redis.example.com:6379/0",
}


@pytest.fixture
def safe_settings(tmp_path: Path) -> dict[str, str]:
    return SAFE | {"DATA_DIR": str(tmp_path)}


def test_safe_settings_are_accepted(safe_settings: dict[str, str]) -> None:
    config = load_config(safe_settings)
    assert isinstance(config, ProductionConfig)
    assert (config.DEBUG, config.TESTING) == (False, False)
    assert config.SESSION_COOKIE_SECURE
    assert config.REMEMBER_COOKIE_SECURE
    assert getattr(config, "WTF_CSRF_ENABLED", True)
    assert getattr(config, "RATELIMIT_ENABLED", True)


def test_an_existing_data_directory_becomes_private(safe_settings: dict[str, str], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    load_config(safe_settings)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("SECRET_KEY", "", "at least 32 characters"),
        ("SECRET_KEY", "short", "at least 32 characters"),
        ("SECRET_KEY", "x" * 31, "at least 32 characters"),
        ("SECRET_KEY", " " * 40, "at least 32 characters"),
        ("SECRET_KEY", "x" * 40, "SECRET_KEY"),
        ("SECRET_KEY", "change-me-change-me-change-me-change-me", "SECRET_KEY"),
        ("MAIL_SERVER", "", "MAIL_SERVER"),
        ("MAIL_DEFAULT_SENDER", "", "MAIL_DEFAULT_SENDER"),
        ("MAIL_DEFAULT_SENDER", "news", "news@example.com"),
        ("MAIL_DEFAULT_SENDER", "News <news@>", "news@example.com"),
        ("MAIL_DEFAULT_SENDER", "Shop, Inc. <news@example.com>", '"Shop, Inc." <news@example.com>'),
        ("MAIL_DEFAULT_SENDER", "news@example.com, shop@example.com", "one email address"),
        ("MAIL_DEFAULT_SENDER", "новости@пример.рф", "one email address"),
        ("MAIL_SERVER", "mail.example.com:587", "MAIL_SERVER=mail.example.com and MAIL_PORT=587"),
        ("MAIL_SERVER", "smtp://mail.example.com", "as in mail.example.com"),
        ("MAIL_FALLBACK_SERVER", "[192.0.2.1]:2525 ", "MAIL_FALLBACK_PORT=2525"),
        ("DATABASE_URL", "postgresql+psycopg2://sky:pw@db.example.com/sky", "write postgresql://"),
        ("DATABASE_URL", "postgresql+asyncpg://sky:pw@db.example.com/sky", "write postgresql://"),
        ("MAIL_PORT", "99999", "between 1 and 65535"),
        ("MAIL_MAX_CONNECTIONS", "0", "between 1 and 1000"),
        ("WORKERS", "9" * 30, "WORKERS"),
        ("WEBHOOK_SECRETS", "postmark", "postmark:the-secret"),
        ("RETURN_MAILBOX", "imap://user:hunter2@mail.example.com/INBOX", "imaps://"),
        ("RETURN_MAILBOX", "imaps://user@mail.example.com/INBOX", "imaps://"),
        ("RETURN_MAILBOX", "imaps://user:hunter2@mail.example.com:x/INBOX", "imaps://"),
        ("RETURN_MAILBOX", "imaps://user:hun%0Dter2@mail.example.com/INBOX", "imaps://"),
        # imaplib cannot send non-ASCII folder names, so every check of the mailbox would fail.
        ("RETURN_MAILBOX", "imaps://user:hunter2@mail.example.com/%D0%9E%D1%82%D0%B2%D0%B5%D1%82", "ASCII"),
        ("MAIL_BOUNCE_ADDRESS", "bounces+x@sky.example", "no +"),
        ("MAIL_BOUNCE_ADDRESS", "returned-letters-of-sky-mailing@sky.example", "up to 23"),
        ("WEBHOOK_SECRETS", "postmark:short", "at least 20"),
        ("WEBHOOK_SECRETS", "postmark:a/secret/with/slashes", "letters"),
        ("WEBHOOK_SECRETS", "other:a-secret-that-is-long", "brevo"),
        ("WEBHOOK_KEYS", "postmark:key", "sendgrid"),
        ("PORT", "0", "between 1 and 65535"),
        ("DATA_DIR", "/dev/null/data", "cannot be created"),
        ("PUBLIC_URL", "", "PUBLIC_URL"),
        ("PUBLIC_URL", "https://[::1", "cannot be read"),
        ("PUBLIC_URL", "https://mailing.example.com:99999", "cannot be read"),
        ("PUBLIC_URL", "https://mailing example.com", "cannot be read"),
        ("PUBLIC_URL", "http://mailing.example.com", "https://"),
        ("PUBLIC_URL", "https://", "PUBLIC_URL"),
        ("PUBLIC_URL", "https://user:pw@mailing.example.com", "PUBLIC_URL"),
        ("PUBLIC_URL", "https://mailing.example.com/?x", "PUBLIC_URL"),
        ("FLASK_DEBUG", "1", "FLASK_DEBUG"),
        ("FLASK_DEBUG", "true", "FLASK_DEBUG"),
        ("REDIS_URL", "redis://redis.example.com:6379/0", "REDIS_URL"),
        ("REDIS_URL", "rediss://redis.example.com:6379/0", "REDIS_URL"),
        # Any program on the host can connect, such as another site's web server that forwards requests.
        ("REDIS_URL", "redis://127.0.0.1:6379", "REDIS_URL"),
        ("REDIS_URL", "redis://localhost", "REDIS_URL"),
        ("REDIS_URL", "redis://[::1]", "REDIS_URL"),
        ("TRUSTED_PROXIES", "-1", "TRUSTED_PROXIES"),
        ("TRUSTED_PROXIES", "many", "TRUSTED_PROXIES"),
        ("MAIL_USE_TLS", "maybe", "MAIL_USE_TLS"),
        ("SKYMAILING_ENV", "prod", "SKYMAILING_ENV"),
    ],
)
def test_an_unsafe_setting_is_rejected_with_a_hint(
    safe_settings: dict[str, str], name: str, value: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_config(safe_settings | {name: value})
    assert hint in str(raised.value)
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("news@example.com", "news@example.com"),
        ("Sky <News@EXAMPLE.com>", "Sky <news@example.com>"),
        ('"Shop, Inc." <news@example.com>', '"Shop, Inc." <news@example.com>'),
        ("news@пример.рф", "news@xn--e1afmkfd.xn--p1ai"),
        ("Новости <news@пример.рф>", "Новости <news@xn--e1afmkfd.xn--p1ai>"),
    ],
)
def test_the_default_sender_is_normalized_for_headers(
    safe_settings: dict[str, str], value: str, expected: str
) -> None:
    config = load_config(safe_settings | {"MAIL_DEFAULT_SENDER": value})
    assert expected == config.MAIL_DEFAULT_SENDER
    assert parseaddr(config.MAIL_DEFAULT_SENDER)[1].isascii()


def test_a_password_with_percent_encoded_characters_is_accepted(safe_settings: dict[str, str]) -> None:
    url = "postgres://sky:p%23w%2F%40@db.example.com:5433/sky"
    config = load_config(safe_settings | {"DATABASE_URL": url})
    assert url.replace("postgres://", "postgresql+psycopg://") == config.SQLALCHEMY_DATABASE_URI


@pytest.mark.parametrize("name", ["MAIL_PORT", "DATABASE_URL", "MAIL_DEFAULT_SENDER"])
def test_a_command_reports_an_unusable_setting_in_one_line(tmp_path: Path, name: str) -> None:
    environment = os.environ | {"DATA_DIR": str(tmp_path), name: "hunter2://"}
    result = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "users", "list"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {name}")
    assert result.stderr.count("\n") == 1


PRIVATE_REDIS_URLS = [
    "unix:///run/redis.sock",
    "rediss://:pw@redis.example.com",
    "redis://:pw@127.0.0.1:6379",
]


@pytest.mark.parametrize("url", PRIVATE_REDIS_URLS)
def test_a_unix_socket_or_a_password_protects_redis(safe_settings: dict[str, str], url: str) -> None:
    assert url == load_config(safe_settings | {"REDIS_URL": url}).REDIS_URL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://sky:hunter2@db.example.com:hunter3/sky"),
        ("DATABASE_URL", "postgresql://sky:hunter2#hunter3@db.example.com/sky"),
        ("DATABASE_URL", "postgresql://sky:hunter2/hunter3@db.example.com/sky"),
        ("DATABASE_URL", "postgresql+psycopg2://sky:hunter2@db.example.com/sky"),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "nosuchbase://sky:hunter2@db/sky"),
        ("REDIS_URL", "redis://:hunter2/hunter3@redis.example.com:6379/0"),
        ("REDIS_URL", "redis://:hunter2@redis.example.com:hunter3/0"),
        ("REDIS_URL", "hunter2"),
        ("SECRET_KEY", "hunter2"),
    ],
)
def test_an_unreadable_setting_is_named_without_its_value(
    safe_settings: dict[str, str], name: str, value: str
) -> None:
    """An operator may paste the message and the traceback into a bug report."""
    with pytest.raises(ConfigurationError) as raised:
        load_config(safe_settings | {name: value})
    output = "".join(traceback.format_exception(raised.value))
    assert name in str(raised.value)
    assert "hunter" not in output
