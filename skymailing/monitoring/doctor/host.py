"""Check this host: file permissions, disk space, clock, Redis and sweep."""

import ipaddress
import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import current_app
from redis import RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from skymailing import counters, queue
from skymailing.clock import utcnow
from skymailing.delivery import journal
from skymailing.extensions import db
from skymailing.monitoring import checks
from skymailing.monitoring.checks import Check

MIN_FREE_BYTES = 1 << 30
MIN_FREE_FILES = 1_000
MAX_SKEW = timedelta(seconds=5)
MAX_SWEEP_AGE = timedelta(minutes=2)


def check_files() -> Check:
    """Check that DATA_DIR is writable and private."""
    found = checks.check_data_directory()
    directory: Path = current_app.config["DATA_DIR"]
    if not found.is_ok:
        return found
    open_to_others = [path for path in (directory, directory / "secret-key") if _is_open_to_others(path)]
    if open_to_others:
        path = open_to_others[0]
        finding = f"other users of this host can read {path} (mode {stat.S_IMODE(path.stat().st_mode):o})"
        return Check("files", False, finding, f"Run: chmod go= {path}")
    return Check("files", True, f"{directory} is writable and private")


def _is_open_to_others(path: Path) -> bool:
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def check_journals() -> Check:
    """Check that the workers' journals can be read: only journals show which letters a dead worker sent."""
    unreadable = journal.find_unreadable(current_app.config["DATA_DIR"] / "journal")
    if not unreadable:
        return Check("journals", True, "all are readable")
    path, reason = next(iter(unreadable.items()))
    others = f", and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
    advice = (
        "Let the service's user read and write it, or move it out of the folder if no worker wrote it. "
        "Until then it is skipped: letters that it mentions become unknown if their worker is dead."
    )
    return Check("journals", False, f"{path} cannot be read: {reason}{others}", advice)


def check_disk() -> Check:
    """Check that the disk has free space."""
    directory: Path = current_app.config["DATA_DIR"]
    free = shutil.disk_usage(directory).free
    system = os.statvfs(directory)
    advice = "Remove old backups and logs, or enlarge the disk: sending stops when it is full."
    if free < MIN_FREE_BYTES:
        return Check("disk", False, f"{free / 2**20:,.0f} MB free at {directory}", advice)
    if system.f_files and system.f_favail < MIN_FREE_FILES:
        return Check(
            "disk", False, f"there is room for only {system.f_favail} more files at {directory}", advice
        )
    return Check("disk", True, f"{free / 2**30:,.1f} GB free at {directory}")


def check_proxy() -> Check:
    """Check that a web server that other hosts can reach is behind a proxy."""
    config = current_app.config
    if not config["TRUSTED_PROXIES"] and not _is_local(config["HOST"]):
        advice = (
            "Put nginx in front of it, and set HOST=127.0.0.1 and TRUSTED_PROXIES=1. Without it, a few slow "
            "visitors can keep the web server busy."
        )
        return Check("proxy", False, f"other hosts can connect to {config['HOST']} without a proxy", advice)
    return Check("proxy", True, "no one can reach the web server without a proxy")


def check_redis() -> Check:
    """Check that Redis responds, and requires a password from other hosts."""
    found = checks.check_redis()
    url = urlsplit(current_app.config["REDIS_URL"])
    if found.is_ok and url.scheme != "unix" and not url.password and not _is_local(url.hostname or ""):
        advice = "Set a password in Redis (requirepass) and in REDIS_URL=redis://:PASSWORD@HOST:6379/0"
        return Check("redis", False, f"anyone who can reach {url.hostname} can use it", advice)
    return found


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_sweep() -> Check:
    """Check that the sweep runs regularly."""
    try:
        last = counters.read().get("last_sweep")
    except RedisError:
        return Check("sweep", False, "unknown while Redis is not responding", "Fix Redis first.")
    if not last:
        return Check("sweep", True, "none since Redis was last emptied", is_known=False)
    age = utcnow() - datetime.fromtimestamp(last, UTC)
    finding = f"the last one was {max(0, round(age.total_seconds()))} seconds ago"
    if age > MAX_SWEEP_AGE:
        return Check("sweep", False, finding, checks.LOG_ADVICE)
    return Check("sweep", True, finding)


def check_clock(site_date: datetime | None) -> Check:
    """Check that this host's clock agrees with those of the database, Redis and the site."""
    others = {"the database": _database_clock_offset(), "Redis": _redis_clock_offset()}
    differences = {name: offset for name, offset in others.items() if offset is not None}
    if site_date is not None:
        differences["the site"] = utcnow() - site_date
    if not differences:
        return Check("clock", True, "no other clock to compare it with", is_known=False)
    name, worst = max(differences.items(), key=lambda item: abs(item[1]))
    seconds = round(worst.total_seconds())
    if abs(worst) > MAX_SKEW:
        finding = f"{abs(seconds)} seconds {'ahead of' if seconds > 0 else 'behind'} {name}"
        advice = "Synchronize the clocks of all hosts: timedatectl set-ntp true"
        return Check("clock", False, finding, advice)
    return Check("clock", True, f"agrees with {', '.join(differences)}")


def _database_clock_offset() -> timedelta | None:
    """Return how far this host's clock is ahead of the database's; None if it has no separate clock."""
    if db.engine.dialect.name == "sqlite":
        return None
    try:
        with db.engine.connect() as connection:
            before = utcnow()
            clock: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    except SQLAlchemyError:
        return None
    return before + (utcnow() - before) / 2 - clock


def _redis_clock_offset() -> timedelta | None:
    try:
        before = utcnow()
        seconds, microseconds = queue.connection().time()
    except RedisError:
        return None
    clock = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
    return before + (utcnow() - before) / 2 - clock
