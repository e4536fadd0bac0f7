"""Production refuses every unsafe setting and names it; error messages contain no secrets."""

import stat
import traceback
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
def safe(tmp_path: Path) -> dict[str, str]:
    return SAFE | {"DATA_DIR": str(tmp_path)}


def test_safe_settings_are_accepted(safe: dict[str, str]) -> None:
    config = load_config(safe)
    assert isinstance(config, ProductionConfig)
    assert (config.DEBUG, config.TESTING) == (False, False)
    assert config.SESSION_COOKIE_SECURE
    assert config.REMEMBER_COOKIE_SECURE
    assert getattr(config, "WTF_CSRF_ENABLED", True)
    assert getattr(config, "RATELIMIT_ENABLED", True)


def test_an_existing_data_directory_becomes_private(safe: dict[str, str], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    load_config(safe)
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
        ("MAIL_PORT", "99999", "between 1 and 65535"),
        ("MAIL_MAX_CONNECTIONS", "0", "between 1 and 1000"),
        ("WORKERS", "9" * 30, "WORKERS"),
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
def test_an_unsafe_setting_is_refused_with_a_hint(
    safe: dict[str, str], name: str, value: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(safe | {name: value})
    assert hint in str(caught.value)
    assert name in str(caught.value)


PRIVATE_REDIS_URLS = [
    "unix:///run/redis.sock",
    "rediss://:pw@redis.example.com",
    "redis://:pw@127.0.0.1:6379",
]


@pytest.mark.parametrize("url", PRIVATE_REDIS_URLS)
def test_a_unix_socket_or_a_password_protects_redis(safe: dict[str, str], url: str) -> None:
    assert url == load_config(safe | {"REDIS_URL": url}).REDIS_URL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://sky:hunter2@db.example.com:hunter3/sky"),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "nosuchbase://sky:hunter2@db/sky"),
        ("REDIS_URL", "redis://:hunter2/hunter3@redis.example.com:6379/0"),
        ("REDIS_URL", "redis://:hunter2@redis.example.com:hunter3/0"),
        ("REDIS_URL", "hunter2"),
        ("SECRET_KEY", "hunter2"),
    ],
)
def test_an_unreadable_setting_is_named_without_its_value(
    safe: dict[str, str], name: str, value: str
) -> None:
    """An operator may paste the message and the traceback into a bug report."""
    with pytest.raises(ConfigurationError) as caught:
        load_config(safe | {name: value})
    shown = "".join(traceback.format_exception(caught.value))
    assert name in str(caught.value)
    assert "hunter" not in shown
