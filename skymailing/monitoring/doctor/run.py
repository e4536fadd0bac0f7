"""All checks, in the order in which one would mend what they find."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flask import current_app

from skymailing.monitoring import checks
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor import host, mail_servers, sender_domain, site


@dataclass(frozen=True)
class Part:
    """What is asked together, and the names under which it is told."""

    names: tuple[str, ...]
    examine: Callable[[], list[Check]]


PARTS = (
    Part(("configuration",), lambda: [check_configuration()]),
    Part(("files",), lambda: [host.check_files()]),
    Part(("disk",), lambda: [host.check_disk()]),
    Part(("database",), lambda: [checks.check_database()]),
    Part(("redis",), lambda: [host.check_redis()]),
    Part(("scheduler",), lambda: [checks.check_scheduler()]),
    Part(("workers",), lambda: [checks.check_workers()]),
    Part(("sweep",), lambda: [host.check_sweep()]),
    Part(("mail-server", "fallback-mail-server"), mail_servers.check_mail_servers),
    Part(("site", "certificate", "clock"), lambda: check_from_outside()),
    Part(("sender-domain", "spf", "dkim", "dmarc"), lambda: check_dns()),
)
NAMES = tuple(name for part in PARTS for name in part.names)


def examine(only: Collection[str]) -> list[Check]:
    """Return what was found about the named parts; all without any name."""
    wanted = set(only or NAMES)
    found = [check for part in PARTS if wanted & set(part.names) for check in part.examine()]
    return [check for check in found if check.name in wanted]


def check_configuration() -> Check:
    """Say what is set; a setting that cannot be used has already ended the command."""
    config = current_app.config
    parts = [config["ENVIRONMENT"], config["PUBLIC_URL"], f"{config['WORKERS']} workers"]
    if not config["WORKERS"]:
        return Check("configuration", False, ", ".join(parts), "Set WORKERS to 1 or more to send letters.")
    return Check("configuration", True, ", ".join(parts))


def check_from_outside() -> list[Check]:
    """Look at the site as a visitor does."""
    visit = site.visit()
    found = [site.check_site(visit)]
    if visit.url.startswith("https:"):
        found.append(site.check_certificate(visit))
    return [*found, host.check_clock(visit.date)]


def check_dns() -> list[Check]:
    """Ask for the sender's records; letters that the catcher keeps need none."""
    return [] if current_app.config["MAIL_CATCHER"] else sender_domain.check_sender_domain()
