"""Test the checks of the sender's DNS records in `flask doctor` against a local DNS server."""

import base64
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from config import TestingConfig
from skymailing import create_app
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.run import run_checks
from tests.support.dns_server import DnsServer, Zone

DOMAIN = "sky.example"
DKIM = f"news._domainkey.{DOMAIN}"
RSA = rsa.generate_private_key(65537, 2048).public_key()
RSA_KEY = base64.b64encode(RSA.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
SMALL_KEY = base64.b64encode(b"\0" * 94).decode()
ED25519 = ed25519.Ed25519PrivateKey.generate().public_key()
ED25519_KEY = base64.b64encode(ED25519.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
VALID_ZONE: Zone = {
    (DOMAIN, "MX"): ["10 mx.sky.example."],
    (DOMAIN, "TXT"): ['"some-site-verification=1"', '"v=spf1 include:relay.example -all"'],
    ("relay.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
    (DKIM, "TXT"): [f'"v=DKIM1; k=rsa; p={RSA_KEY[:200]}" "{RSA_KEY[200:]}"'],
    (f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=none; rua=mailto:postmaster@sky.example"'],
}


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer(dict(VALID_ZONE)) as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """Return an app for this module, whose database is never used."""
    data_dir = str(tmp_path_factory.mktemp("data"))
    return create_app(TestingConfig({"DATA_DIR": data_dir, "MAIL_SERVER": "127.0.0.1"}))


@pytest.fixture(autouse=True)
def _settings(app: Flask, server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "DNS_SERVER", server.address)
    monkeypatch.setitem(app.config, "MAIL_DEFAULT_SENDER", f"News <news@{DOMAIN}>")
    monkeypatch.setitem(app.config, "MAIL_DKIM_SELECTOR", "news")


def check_records(app: Flask, *names: str) -> dict[str, Check]:
    with app.app_context():
        return {check.name: check for check in run_checks(names or ("sender-domain", "spf", "dkim", "dmarc"))}


def test_valid_records_are_ok(app: Flask) -> None:
    checks = check_records(app)

    assert {name: (check.is_ok, check.is_known) for name, check in checks.items()} == dict.fromkeys(
        ("sender-domain", "spf", "dkim", "dmarc"), (True, True)
    )
    assert checks["spf"].finding == "v=spf1 include:relay.example -all"
    assert "p=none" in checks["dmarc"].finding


Changes = dict[tuple[str, str], list[str] | None]
ELEVEN_INCLUDES = " ".join(f"include:i{number}.example" for number in range(11))
# The name of a check, changes of the valid zone, and a part of the finding.
INVALID_RECORDS: list[tuple[str, Changes, str]] = [
    ("sender-domain", {(DOMAIN, "MX"): None}, "no mail server"),
    ("sender-domain", {(DOMAIN, "MX"): ["0 ."]}, "accepts no mail"),
    ("spf", {(DOMAIN, "TXT"): None}, "no SPF record"),
    ("spf", {(DOMAIN, "TXT"): ['"v=spf1 -all"', '"v=spf1 a -all"']}, "2 SPF records"),
    ("spf", {(DOMAIN, "TXT"): ['"v=spf1 include:relay.example +all"']}, "allows everyone"),
    ("spf", {(DOMAIN, "TXT"): ['"v=spf1 include:relay.example"']}, "all other senders"),
    ("spf", {("relay.example", "TXT"): None}, "relay.example has no SPF record"),
    (
        "spf",
        {
            (DOMAIN, "TXT"): [f'"v=spf1 {ELEVEN_INCLUDES} -all"'],
            **{(f"i{number}.example", "TXT"): ['"v=spf1 -all"'] for number in range(11)},
        },
        "11 DNS lookups",
    ),
    ("spf", {("relay.example", "TXT"): ['"v=spf1 a mx a a a a a a a a -all"']}, "11 DNS lookups"),
    ("dkim", {(DKIM, "TXT"): None}, "has no key"),
    ("dkim", {(DKIM, "TXT"): ['"v=DKIM1; p="']}, "revoked"),
    ("dkim", {(DKIM, "TXT"): ['"v=DKIM1; p=!!!"']}, "damaged"),
    ("dkim", {(DKIM, "TXT"): [f'"v=DKIM1; p={SMALL_KEY}"']}, "less than 1024 bits"),
    ("dmarc", {(f"_dmarc.{DOMAIN}", "TXT"): None}, "no DMARC record"),
    ("dmarc", {(f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=maybe"']}, "no policy"),
    (
        "dmarc",
        {(f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=none"', '"v=DMARC1; p=x"']},
        "2 records",
    ),
]


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    INVALID_RECORDS,
    ids=[f"{name}: {finding}" for name, _changes, finding in INVALID_RECORDS],
)
def test_invalid_records_are_reported_with_advice(
    app: Flask, server: DnsServer, name: str, changes: Changes, expected: str
) -> None:
    for key, records in changes.items():
        server.zone.pop(key, None)
        if records is not None:
            server.zone[key] = records

    (check,) = check_records(app, name).values()

    assert not check.is_ok
    assert expected in check.finding
    assert DOMAIN in check.advice


def test_a_domain_with_an_address_needs_no_mx_record(app: Flask, server: DnsServer) -> None:
    del server.zone[DOMAIN, "MX"]
    server.zone[DOMAIN, "A"] = ["192.0.2.1"]

    assert check_records(app, "sender-domain")["sender-domain"].is_ok


def test_an_ed25519_key_and_the_parent_domains_policy_are_ok(
    app: Flask, server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "MAIL_DEFAULT_SENDER", f"news@letters.{DOMAIN}")
    server.zone[f"news._domainkey.letters.{DOMAIN}", "TXT"] = [f'"k=ed25519; p={ED25519_KEY}; t=y"']

    checks = check_records(app, "dkim", "dmarc")

    assert checks["dkim"].is_ok
    assert "(ed25519), in test mode" in checks["dkim"].finding
    assert checks["dmarc"].finding == f"_dmarc.{DOMAIN}: p=none"


def test_spf_records_that_include_each_other_are_ok(app: Flask, server: DnsServer) -> None:
    server.zone["relay.example", "TXT"] = [f'"v=spf1 include:{DOMAIN} -all"']

    assert check_records(app, "spf")["spf"].is_ok


def test_an_unresponsive_dns_server_is_not_a_problem_and_delays_the_checks_only_once(
    app: Flask, server: DnsServer
) -> None:
    server.is_silent = True
    start = time.monotonic()

    checks = check_records(app)

    assert all(check.is_ok and not check.is_known for check in checks.values())
    assert all("could not be checked" in check.finding for check in checks.values())
    assert time.monotonic() - start < 8, "only the first query waits for the timeout"


def test_a_failing_dns_server_is_not_a_problem(app: Flask, server: DnsServer) -> None:
    server.broken.add(f"_dmarc.{DOMAIN}")

    checks = check_records(app)

    assert (checks["dmarc"].is_ok, checks["dmarc"].is_known) == (True, False)
    assert checks["spf"].is_known


def test_without_a_selector_the_dkim_check_is_skipped(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "MAIL_DKIM_SELECTOR", None)

    check = check_records(app, "dkim")["dkim"]

    assert (check.is_ok, check.is_known) == (True, False)
    assert "MAIL_DKIM_SELECTOR" in check.finding


def test_no_records_are_needed_with_the_mail_catcher(
    app: Flask, server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "MAIL_CATCHER", True)

    assert check_records(app) == {}
    assert server.query_count == 0
