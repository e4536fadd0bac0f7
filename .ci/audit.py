"""Known faults in what we install, unsafe patterns in our code, secrets in the repository.

`make audit` runs it. Ends with 1 for each finding that has no reason below, and for each reason that
no finding needs any more.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AUDITED = ("skymailing", "migrations", "config.py", "wsgi.py")
NETWORK_SECONDS = 120
# Other people's files, our own words in Russian, tables of made-up clients: slow, and without secrets.
UNSCANNED = ("skymailing/static/vendor/", "skymailing/translations/", "tests/data/", "requirements.lock")
PICTURES = (".png", ".svg", ".ico", ".webp")

Finding = tuple[str, str]  # file and rule

SEED = "chance decides when or which, not whether somebody gets in"
ASSERTION = "an assert states what the types cannot; none checks what comes from outside"
MADE_UP = "a made-up example in place of an address's password"
EXCEPTIONS: dict[Finding, str] = {
    # bandit
    ("skymailing/audit.py", "B101"): ASSERTION,
    ("skymailing/backups/archive.py", "B101"): ASSERTION,
    ("skymailing/delivery/routing/domain_queue.py", "B101"): ASSERTION,
    ("skymailing/delivery/smtp/pipeline.py", "B101"): ASSERTION,
    ("skymailing/delivery/plan.py", "B101"): ASSERTION,
    ("skymailing/monitoring/doctor/mail_servers.py", "B101"): ASSERTION,
    ("skymailing/caching/invalidation.py", "B101"): ASSERTION,
    ("skymailing/mailings/values.py", "B101"): ASSERTION,
    ("skymailing/mailings/services.py", "B101"): ASSERTION,
    ("skymailing/manager/article_form.py", "B101"): ASSERTION,
    ("skymailing/messages/views/editor.py", "B101"): ASSERTION,
    ("skymailing/delivery/smtp/connection.py", "B101"): ASSERTION,
    ("skymailing/commands/processes.py", "B104"): "compared with HOST, not bound to",
    ("skymailing/monitoring/metrics.py", "B104"): "stands for an unknown address, which is then no loopback",
    ("migrations/versions/0013_report_days.py", "B608"): "put together of our own words alone",
    ("skymailing/auth/two_factor.py", "B105"): "an empty text takes a key away",
    ("skymailing/auth/sessions.py", "B105"): "the name of what the session keeps",
    ("skymailing/logs/redaction.py", "B105"): "what stands in a secret's place",
    ("skymailing/blog/content_cache.py", "B311"): SEED,
    ("skymailing/delivery/ledger/record.py", "B311"): SEED,
    ("skymailing/delivery/routing/routes.py", "B311"): SEED,
    ("skymailing/demo/build.py", "B311"): "the example is the same everywhere, by a fixed seed",
    ("skymailing/demo/people.py", "B311"): "the example is the same everywhere, by a fixed seed",
    ("skymailing/caching/middleware.py", "B311"): SEED,
    ("skymailing/backups/databases.py", "B404"): "pg_dump and pg_restore, which have no library",
    ("skymailing/backups/databases.py", "B603"): "a list of arguments without a shell, none typed by a user",
    ("skymailing/commands/processes.py", "B606"): "becomes gunicorn, with arguments from the settings",
    ("skymailing/auth/views/two_factor.py", "B704"): "a QR code drawn by segno: paths, nothing of its text",
    ("skymailing/blog/views/articles.py", "B704"): "passed through nh3; tests/e2e/test_hostile_html.py",
    ("skymailing/manager/views/articles.py", "B704"): "passed through nh3; tests/e2e/test_hostile_html.py",
    # detect-secrets
    ("README.md", "Basic Auth Credentials"): MADE_UP,
    ("README.ru.md", "Basic Auth Credentials"): MADE_UP,
    ("config.py", "Basic Auth Credentials"): MADE_UP,
    ("docs/operations.md", "Basic Auth Credentials"): MADE_UP,
    ("bench/pages.py", "Secret Keyword"): "of an account that lives as long as the benchmark",
    ("bench/service.py", "Secret Keyword"): "of a service that lives as long as the benchmark",
}
# Tests invent passwords and settings on every page; keys and tokens of real services are looked for, too.
IN_TESTS = {"Secret Keyword", "Basic Auth Credentials"}


def run(*command: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def requirements() -> str:
    """Return the file that names most of what is installed: the lock names what comes along as well."""
    return "requirements.lock" if (ROOT / "requirements.lock").exists() else "requirements.txt"


def known_faults() -> int:
    """Ask the index for advisories about every pinned package; return how many there are."""
    try:
        options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
        done = run("pip_audit", "--requirement", requirements(), *options, seconds=NETWORK_SECONDS)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("pip-audit: SKIPPED, no index with advisories can be reached from here")
        return 0
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        print(f"pip-audit: SKIPPED, the index tells no advisories for any of {len(packages)} packages")
        return 0
    faults = [(package["name"], fault["id"]) for package in asked for fault in package["vulns"]]
    for name, fault in faults:
        print(f"pip-audit: {name}: {fault}")
    print(
        f"pip-audit: {len(faults)} faults in {len(asked)} of {len(packages)} packages that were asked about"
    )
    return len(faults)


def unsafe_patterns() -> Iterator[tuple[Finding, str]]:
    """Yield what bandit finds in the code that runs in production."""
    done = run("bandit", "--quiet", "--recursive", "--format", "json", *AUDITED)
    report = json.loads(done.stdout)
    if report["errors"]:
        raise RuntimeError(report["errors"])
    for found in report["results"]:
        yield (found["filename"].removeprefix("./"), found["test_id"]), str(found["issue_text"])


def secrets() -> Iterator[tuple[Finding, str]]:
    """Yield what detect-secrets takes for one, in every file that git knows."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [
        name
        for name in listed.stdout.splitlines()
        if not name.startswith(UNSCANNED) and not name.endswith(PICTURES)
    ]
    done = run("detect_secrets", "scan", *files)
    if done.returncode:
        raise RuntimeError(done.stderr)
    for name, found in json.loads(done.stdout)["results"].items():
        for one in found:
            if not (name.startswith("tests/") and one["type"] in IN_TESTS):
                yield (name, one["type"]), f"line {one['line_number']}"


def main() -> int:
    faults = known_faults()
    used: set[Finding] = set()
    for tool, findings in (("bandit", unsafe_patterns()), ("detect-secrets", secrets())):
        count = 0
        for finding, words in findings:
            used.add(finding)
            if finding not in EXCEPTIONS:
                count += 1
                print(f"{tool}: {finding[0]}: {finding[1]}: {words}")
        print(f"{tool}: {count} findings without a reason")
        faults += count
    for name, rule in EXCEPTIONS.keys() - used:
        faults += 1
        print(f"no longer needed: the exception for {rule} in {name}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
