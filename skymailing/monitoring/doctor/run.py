"""Run all checks, in the order in which their problems should be fixed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flask import current_app

from skymailing.monitoring import checks
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor import host, mail_servers, mailbox, probes, returned, sender_domain, site


@dataclass(frozen=True)
class Part:
    """Checks that run together, and their names."""

    names: tuple[str, ...]
    run: Callable[[], list[Check]]


PARTS = (
    Part(("configuration",), lambda: [check_configuration()]),
    Part(("files",), lambda: [host.check_files()]),
    Part(("journals",), lambda: [host.check_journals()]),
    Part(("disk",), lambda: [host.check_disk()]),
    Part(("proxy",), lambda: [host.check_proxy()]),
    Part(("database",), lambda: [checks.check_database()]),
    Part(("redis",), lambda: [host.check_redis()]),
    Part(("scheduler",), lambda: [checks.check_scheduler()]),
    Part(("workers",), lambda: [checks.check_workers()]),
    Part(("sweep",), lambda: [host.check_sweep()]),
    Part(("returned", "complaints"), returned.check_returned),
    Part(("mail-server", "fallback-mail-server"), mail_servers.check_mail_servers),
    Part(("mailbox",), mailbox.check_mailbox),
    Part((probes.SIGNATURE, probes.RETURN_PATH), probes.check_routes),
    Part((mail_servers.COMMON_CHECK,), mail_servers.check_common_servers),
    Part(("site", "certificate", "clock"), lambda: check_site_and_clock()),
    Part(("sender-domain", "spf", "dkim", "dmarc"), lambda: check_dns()),
)
NAMES = tuple(name for part in PARTS for name in part.names)


def run_checks(only: Collection[str]) -> list[Check]:
    """Run the named checks, or all of them if none are named."""
    wanted = set(only or NAMES)
    found = [check for part in PARTS if wanted & set(part.names) for check in part.run()]
    return [check for check in found if check.name in wanted]


def check_configuration() -> Check:
    """Summarize the settings, which are valid: otherwise, the command would not have started."""
    config = current_app.config
    parts = [config["ENVIRONMENT"], config["PUBLIC_URL"], f"{config['WORKERS']} workers"]
    if not config["WORKERS"]:
        return Check("configuration", False, ", ".join(parts), "Set WORKERS to 1 or more to send letters.")
    return Check("configuration", True, ", ".join(parts))


def check_site_and_clock() -> list[Check]:
    """Visit the site, check its certificate, and compare the clocks."""
    visit = site.visit_site()
    found = [site.check_site(visit)]
    if visit.url.startswith("https:"):
        found.append(site.check_certificate(visit))
    return [*found, host.check_clock(visit.date)]


def check_dns() -> list[Check]:
    """Check the sender's DNS records; none are needed with the mail catcher."""
    return [] if current_app.config["MAIL_CATCHER"] else sender_domain.check_sender_domain()
