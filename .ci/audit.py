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
# Vendored files, translations and tables of fictitious clients are slow to scan and contain no secrets.
EXCLUDED = (
    "skymailing/static/vendor/",
    "skymailing/translations/",
    "tests/data/",
    "requirements.lock",
    "package-lock.json",
)
IMAGES = (".png", ".svg", ".ico", ".webp")

Finding = tuple[str, str]  # file and rule

NOT_SECURITY = "random times and choices that do not affect security"
ASSERTION = "asserts state what types cannot express; none of them checks external input"
EXAMPLE_URL = "a fictitious password in an example URL"
EXCEPTIONS: dict[Finding, str] = {
    # bandit
    ("skymailing/audit.py", "B101"): ASSERTION,
    ("skymailing/blog/covers.py", "B101"): ASSERTION,
    ("skymailing/blog/view_counts.py", "B101"): ASSERTION,
    ("skymailing/delivery/audience/flags.py", "B101"): ASSERTION,
    ("skymailing/delivery/composition/layouts.py", "B101"): ASSERTION,
    ("skymailing/delivery/local_runs.py", "B101"): ASSERTION,
    ("skymailing/manager/views/article_editor.py", "B101"): ASSERTION,
    ("skymailing/messages/readability.py", "B101"): ASSERTION,
    ("skymailing/sequences/people.py", "B101"): ASSERTION,
    ("skymailing/sequences/services.py", "B101"): ASSERTION,
    ("skymailing/sequences/steps.py", "B101"): ASSERTION,
    ("skymailing/api/idempotency.py", "B101"): ASSERTION,
    ("skymailing/backups/archive.py", "B101"): ASSERTION,
    ("skymailing/clients/bulk/actions.py", "B101"): ASSERTION,
    ("skymailing/commands/migrations.py", "B101"): ASSERTION,
    ("skymailing/delivery/audience/compilation.py", "B101"): ASSERTION,
    ("skymailing/delivery/audience/parts.py", "B101"): ASSERTION,
    ("skymailing/delivery/audience/viewpoint.py", "B101"): ASSERTION,
    ("skymailing/delivery/routing/domain_queue.py", "B101"): ASSERTION,
    ("skymailing/delivery/smtp/pipeline.py", "B101"): ASSERTION,
    ("skymailing/delivery/plan.py", "B101"): ASSERTION,
    ("skymailing/delivery/run_events.py", "B101"): ASSERTION,
    ("skymailing/delivery/run_files.py", "B101"): ASSERTION,
    ("skymailing/events/payloads.py", "B101"): ASSERTION,
    ("skymailing/monitoring/doctor/mail_servers.py", "B101"): ASSERTION,
    ("skymailing/caching/invalidation.py", "B101"): ASSERTION,
    ("skymailing/returns/consequences.py", "B101"): ASSERTION,
    ("skymailing/signup/confirmation.py", "B101"): ASSERTION,
    ("skymailing/letters/services.py", "B101"): ASSERTION,
    ("skymailing/mailings/values.py", "B101"): ASSERTION,
    ("skymailing/mailings/variant_results.py", "B101"): ASSERTION,
    ("skymailing/mailings/services.py", "B101"): ASSERTION,
    ("skymailing/manager/article_forms.py", "B101"): ASSERTION,
    ("skymailing/messages/views/editor.py", "B101"): ASSERTION,
    ("skymailing/monitoring/doctor/probes.py", "B101"): ASSERTION,
    ("skymailing/outbox/probes.py", "B101"): ASSERTION,
    ("skymailing/purchases/queries.py", "B101"): ASSERTION,
    ("skymailing/purchases/services.py", "B101"): ASSERTION,
    ("skymailing/web/money.py", "B101"): ASSERTION,
    ("skymailing/delivery/rendering/tracked_links.py", "B105"): "the name of a value",
    ("skymailing/commands/processes.py", "B104"): "compared with HOST, not used for binding",
    ("skymailing/monitoring/views.py", "B104"): "stands for an unknown address, which is not loopback",
    ("migrations/versions/0013_report_days.py", "B608"): "built from our own constants",
    ("migrations/versions/0021_plain_json.py", "B608"): "built from our own constants",
    ("migrations/versions/0056_sequences.py", "B608"): "built from our own constants",
    ("migrations/versions/0063_attribute_names.py", "B608"): "built from our own constants",
    ("migrations/versions/0072_tracked_letters.py", "B608"): "built from our own constants",
    ("skymailing/auth/two_factor.py", "B105"): "an empty string removes the key",
    ("skymailing/auth/views/session.py", "B105"): "the name of a session key",
    ("skymailing/logs/redaction.py", "B105"): "the replacement for a secret",
    ("skymailing/delivery/ledger/record.py", "B311"): NOT_SECURITY,
    ("skymailing/delivery/routing/routes.py", "B311"): NOT_SECURITY,
    ("skymailing/demo/build.py", "B311"): "a fixed seed makes the example data the same everywhere",
    ("skymailing/demo/variants.py", "B311"): "a fixed seed makes the example data the same everywhere",
    ("skymailing/demo/people.py", "B311"): "a fixed seed makes the example data the same everywhere",
    ("skymailing/demo/reactions.py", "B311"): "a fixed seed makes the example data the same everywhere",
    ("skymailing/caching/middleware.py", "B311"): NOT_SECURITY,
    ("skymailing/backups/databases.py", "B404"): "pg_dump and pg_restore, which have no library",
    (
        "skymailing/backups/databases.py",
        "B603",
    ): "a list of arguments without a shell; none comes from a user",
    ("skymailing/clients/files/workbooks.py", "B404"): "a process with limits reads what users upload",
    (
        "skymailing/clients/files/workbooks.py",
        "B603",
    ): "a list of arguments without a shell: our program and a temporary file",
    (
        "skymailing/commands/processes.py",
        "B606",
    ): "replaces the process with gunicorn; the arguments come from the settings",
    (
        "skymailing/auth/views/two_factor.py",
        "B704",
    ): "a QR code drawn by segno: it contains only paths, no text",
    ("skymailing/signup/snippet.py", "B704"): "a QR code drawn by segno: it contains only paths, no text",
    ("skymailing/help/views.py", "B704"): "rendered from our own files",
    ("skymailing/web/form_fields.py", "B704"): "value, label and attributes are escaped",
    ("skymailing/web/i18n.py", "B704"): "our own texts; values are escaped when they are inserted",
    ("skymailing/blog/views/articles.py", "B704"): "sanitized by nh3; tests/e2e/test_hostile_html.py",
    (
        "skymailing/manager/views/article_editor.py",
        "B704",
    ): "sanitized by nh3; tests/e2e/test_hostile_html.py",
    ("skymailing/delivery/routing/servers.py", "B105"): "the text of an error",
    ("skymailing/returns/providers/amazon_sns.py", "B303"): "version 1 of Amazon's signatures",
    # detect-secrets
    ("skymailing/models/audit.py", "Secret Keyword"): "names of actions in the audit log",
    ("skymailing/delivery/routing/servers.py", "Secret Keyword"): "the text of an error",
    ("README.ru.md", "Secret Keyword"): EXAMPLE_URL,
    ("docs/returns.md", "Basic Auth Credentials"): EXAMPLE_URL,
    ("deploy/skymailing.env.example", "Basic Auth Credentials"): EXAMPLE_URL,
    ("skymailing/settings/returned_mail.py", "Basic Auth Credentials"): EXAMPLE_URL,
    ("README.md", "Basic Auth Credentials"): EXAMPLE_URL,
    ("README.ru.md", "Basic Auth Credentials"): EXAMPLE_URL,
    ("skymailing/settings/addresses.py", "Basic Auth Credentials"): EXAMPLE_URL,
    ("docs/operations.md", "Basic Auth Credentials"): EXAMPLE_URL,
    ("tests/test_tokens.py", "Base64 High Entropy String"): "a token with the tests' SECRET_KEY",
    ("bench/pages.py", "Secret Keyword"): "for an account that exists only during the benchmark",
    ("bench/service.py", "Secret Keyword"): "for a service that exists only during the benchmark",
}
# Tests contain fictitious passwords and settings, but are searched for keys and tokens of real services.
ALLOWED_IN_TESTS = {"Secret Keyword", "Basic Auth Credentials"}


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
    """Look up advisories for every pinned package; return the number of vulnerabilities."""
    try:
        options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
        result = run("pip_audit", "--requirement", requirements(), *options, seconds=NETWORK_SECONDS)
        packages = json.loads(result.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("pip-audit: SKIPPED, no index with advisories is reachable")
        return 0
    checked = [package for package in packages if "skip_reason" not in package]
    if not checked:
        print(f"pip-audit: SKIPPED, the index has no advisory data for any of the {len(packages)} packages")
        return 0
    problems = [(package["name"], advisory["id"]) for package in checked for advisory in package["vulns"]]
    for name, advisory in problems:
        print(f"pip-audit: {name}: {advisory}")
    print(
        f"pip-audit: {len(problems)} vulnerabilities in {len(checked)} of {len(packages)} packages with data"
    )
    return len(problems)


def find_unsafe_patterns() -> Iterator[tuple[Finding, str]]:
    """Yield bandit's findings in the production code."""
    result = run("bandit", "--quiet", "--recursive", "--format", "json", *AUDITED)
    report = json.loads(result.stdout)
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
        if not name.startswith(EXCLUDED) and not name.endswith(IMAGES)
    ]
    result = run("detect_secrets", "scan", *files)
    if result.returncode:
        raise RuntimeError(result.stderr)
    for name, secrets in json.loads(result.stdout)["results"].items():
        for secret in secrets:
            if not (name.startswith("tests/") and secret["type"] in ALLOWED_IN_TESTS):
                yield (name, secret["type"]), f"line {secret['line_number']}"


def main() -> int:
    problems = count_vulnerabilities()
    used: set[Finding] = set()
    for tool, findings in (("bandit", find_unsafe_patterns()), ("detect-secrets", find_secrets())):
        count = 0
        for finding, description in findings:
            used.add(finding)
            if finding not in EXCEPTIONS:
                count += 1
                print(f"{tool}: {finding[0]}: {finding[1]}: {description}")
        print(f"{tool}: {count} findings without an exception")
        problems += count
    for name, rule in EXCEPTIONS.keys() - used:
        problems += 1
        print(f"no longer needed: exception for {rule} in {name}")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
