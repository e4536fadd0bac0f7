"""Check for known vulnerabilities in dependencies, unsafe patterns in our code, and secrets in files.

`make audit` runs it. The exit code is 1 when a finding has no exception below, or an exception is no
longer needed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AUDITED = ("skymailing", "migrations", "config.py", "wsgi.py")
NETWORK_SECONDS = 120
# Vendored files, translations, tables of invented clients: slow to scan, and without secrets.
UNSCANNED = (
    "skymailing/static/vendor/",
    "skymailing/translations/",
    "tests/data/",
    "requirements.lock",
    "package-lock.json",
)
PICTURES = (".png", ".svg", ".ico", ".webp")

Finding = tuple[str, str]  # file and rule

SEED = "random times and choices, unrelated to access"
ASSERTION = "an assert states what types cannot express; none checks external input"
MADE_UP = "an invented password in an example URL"
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
    ("skymailing/manager/article_forms.py", "B101"): ASSERTION,
    ("skymailing/messages/views/editor.py", "B101"): ASSERTION,
    ("skymailing/delivery/smtp/connection.py", "B101"): ASSERTION,
    ("skymailing/commands/processes.py", "B104"): "compared with HOST, not bound to",
    ("skymailing/monitoring/views.py", "B104"): "an unknown address, which is not loopback",
    ("migrations/versions/0013_report_days.py", "B608"): "built from our own constants",
    ("skymailing/auth/two_factor.py", "B105"): "an empty text removes a key",
    ("skymailing/auth/views/session.py", "B105"): "the name of a session key",
    ("skymailing/logs/redaction.py", "B105"): "the replacement for a secret",
    ("skymailing/blog/content_cache.py", "B311"): SEED,
    ("skymailing/delivery/ledger/record.py", "B311"): SEED,
    ("skymailing/delivery/routing/routes.py", "B311"): SEED,
    ("skymailing/demo/build.py", "B311"): "the example is the same everywhere, by a fixed seed",
    ("skymailing/demo/people.py", "B311"): "the example is the same everywhere, by a fixed seed",
    ("skymailing/caching/middleware.py", "B311"): SEED,
    ("skymailing/backups/databases.py", "B404"): "pg_dump and pg_restore, which have no library",
    ("skymailing/backups/databases.py", "B603"): "a list of arguments without a shell, none from a user",
    (
        "skymailing/commands/processes.py",
        "B606",
    ): "runs gunicorn in its place, with arguments from the settings",
    ("skymailing/auth/views/two_factor.py", "B704"): "a QR code drawn by segno: only paths, without its text",
    ("skymailing/blog/views/articles.py", "B704"): "sanitized by nh3; tests/e2e/test_hostile_html.py",
    ("skymailing/manager/views/articles.py", "B704"): "sanitized by nh3; tests/e2e/test_hostile_html.py",
    # detect-secrets
    ("README.md", "Basic Auth Credentials"): MADE_UP,
    ("README.ru.md", "Basic Auth Credentials"): MADE_UP,
    ("config.py", "Basic Auth Credentials"): MADE_UP,
    ("docs/operations.md", "Basic Auth Credentials"): MADE_UP,
    ("bench/pages.py", "Secret Keyword"): "for an account that exists only during the benchmark",
    ("bench/service.py", "Secret Keyword"): "for a service that exists only during the benchmark",
}
# Tests contain invented passwords and settings. Keys and tokens of real services are still searched for.
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
    """Return the most complete list of dependencies: the lock also has the indirect ones."""
    return "requirements.lock" if (ROOT / "requirements.lock").exists() else "requirements.txt"


def count_vulnerabilities() -> int:
    """Look up advisories for every pinned package; return their number."""
    try:
        options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
        done = run("pip_audit", "--requirement", requirements(), *options, seconds=NETWORK_SECONDS)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("pip-audit: SKIPPED, no index with advisories is reachable")
        return 0
    checked = [package for package in packages if "skip_reason" not in package]
    if not checked:
        print(f"pip-audit: SKIPPED, the index has no advisories for any of {len(packages)} packages")
        return 0
    faults = [(package["name"], fault["id"]) for package in checked for fault in package["vulns"]]
    for name, fault in faults:
        print(f"pip-audit: {name}: {fault}")
    print(f"pip-audit: {len(faults)} vulnerabilities in {len(checked)} of {len(packages)} packages with data")
    return len(faults)


def find_unsafe_patterns() -> Iterator[tuple[Finding, str]]:
    """Yield bandit's findings in the production code."""
    done = run("bandit", "--quiet", "--recursive", "--format", "json", *AUDITED)
    report = json.loads(done.stdout)
    if report["errors"]:
        raise RuntimeError(report["errors"])
    for found in report["results"]:
        yield (found["filename"].removeprefix("./"), found["test_id"]), str(found["issue_text"])


def find_secrets() -> Iterator[tuple[Finding, str]]:
    """Yield the findings of detect-secrets in all files of the repository."""
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
    faults = count_vulnerabilities()
    used: set[Finding] = set()
    for tool, findings in (("bandit", find_unsafe_patterns()), ("detect-secrets", find_secrets())):
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
        print(f"no longer needed: exception for {rule} in {name}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
