"""Test all log lines that the service writes while a user registers, signs in, imports and sends."""

import http.cookiejar
import json
import re
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from skymailing.clock import utcnow
from tests.journey.visitor import Visitor
from tests.processes.service import Service, wait_until
from tests.support.servers import SmtpServer

PASSWORD = "Xylophone-Quartz-77"
WRONG = "Wrong-Quartz-78"
OWNER = "olga.owner@shop.example"
CLIENTS = [f"recipient{number}@mail{number % 3}.example" for number in range(30)]
SECRET_KEY = "whole-run-key-" * 3
JOBS = ("send_outbox", "start_mailing", "send_slice", "sweep")
LINK = re.compile(r"https://sky\.example(/(?:auth/)?(?:verify|reset|u)/[\w.-]+)")


@pytest.fixture(scope="module")
def smtp() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    server.rcpt_replies[CLIENTS[3]] = f"550 5.1.1 <{CLIENTS[3]}> is no mailbox here"
    server.data_replies[CLIENTS[4]] = f"451 4.3.0 try {CLIENTS[4]} later"
    yield server
    server.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, smtp: SmtpServer) -> Iterator[Service]:
    """Run the service as in production, but without TLS in front of it."""
    service = Service(
        tmp_path_factory.mktemp("production") / "data",
        SKYMAILING_ENV="production",
        SECRET_KEY=SECRET_KEY,
        PUBLIC_URL="https://sky.example",
        MAIL_SERVER="127.0.0.1",
        MAIL_PORT=str(smtp.port),
        MAIL_USERNAME="",
        MAIL_DEFAULT_SENDER="letters@sky.example",
        METRICS_TOKEN="metrics-word-1",
        LOG_LEVEL="DEBUG",
    )
    service.start()
    yield service
    service.stop()


class SecureVisitor(Visitor):
    """A visitor who also sends secure cookies over plain HTTP, as if it were TLS."""

    def __init__(self, site: str) -> None:
        super().__init__(site)
        policy = http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))
        self.jar = http.cookiejar.CookieJar(policy)
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))


def wait_for_letter(smtp: SmtpServer, address: str, number: int = 0) -> str:
    wait_until(lambda: smtp.per_address()[address] > number, f"letter {number} to {address}")
    letter = [letter for letter in smtp.letters if letter.to == address][number]
    return letter.text


def find_link(text: str) -> str:
    match = LINK.search(text)
    assert match, text
    return match[1]


def use_the_service(service: Service, smtp: SmtpServer, tmp_path: Path) -> set[str]:
    """Register, sign in, import and send; return the secrets that were used."""
    visitor = SecureVisitor(service.url)
    page = visitor.get("/auth/register")
    visitor.submit(page, email=OWNER, password=PASSWORD, password_confirm=PASSWORD)
    verify = find_link(wait_for_letter(smtp, OWNER))
    visitor.submit(visitor.get(verify), password=PASSWORD)
    visitor.submit(visitor.get("/"), "/auth/logout")
    visitor.submit(visitor.get("/auth/login"), email=OWNER, password=WRONG)
    visitor.submit(visitor.get("/auth/reset"), email=OWNER)
    reset = find_link(wait_for_letter(smtp, OWNER, 1))
    visitor.get(reset)
    visitor.get(reset + "\n2026-01-01T00:00:00Z ERROR forged".replace("\n", "%0A").replace(" ", "%20"))
    page = visitor.submit(visitor.get("/auth/login"), email=OWNER, password=PASSWORD)
    assert page.status == 200

    file = tmp_path / "clients.csv"
    file.write_text("email\n" + "\n".join(CLIENTS))
    assert service.run("clients", "import", str(file), "--owner", OWNER).returncode == 0
    text = "Hello! [Leave]({{ unsubscribe_url }})"
    visitor.submit(visitor.get("/messages/new"), subject="News", format="text", body=text)
    form = visitor.get("/mailings/new?message=1")
    starts_at = f"{utcnow():%Y-%m-%dT%H:%M}"
    page = visitor.submit(
        form, name="Autumn", starts_at=starts_at, ends_at="2099-01-01T00:00", audience="all"
    )
    assert page.status == 200, page.visible_text
    wait_until(lambda: smtp.per_address()[CLIENTS[-1]] == 1, "the last letter")
    unsubscribe = find_link(wait_for_letter(smtp, CLIENTS[0]))
    visitor.submit(visitor.get(unsubscribe), unsubscribe)
    visitor.get(f"/logs/?q={CLIENTS[5]}")
    cookies = {cookie.value or "" for cookie in visitor.jar}
    tokens = {path.rpartition("/")[2] for path in (verify, reset, unsubscribe)}
    return {PASSWORD, WRONG, SECRET_KEY, "metrics-word-1", *cookies, *tokens}


def has_logged(service: Service, job: str) -> bool:
    return f'"job": "{job}"' in service.log("worker")


def test_no_log_line_contains_a_secret_or_an_address(
    service: Service, smtp: SmtpServer, tmp_path: Path
) -> None:
    secrets = use_the_service(service, smtp, tmp_path)
    for job in JOBS:
        wait_until(partial(has_logged, service, job), f"{job} has written its line")

    logs = {path.name: path.read_text() for path in (service.data_dir / "logs").glob("*.log")}
    assert {"web.log", "worker.log", "scheduler.log", "supervisor.log"} <= set(logs)
    everything = "".join(logs.values())
    assert [secret for secret in sorted(secrets) if secret in everything] == []

    lines = [line for name, text in logs.items() if name != "redis.log" for line in text.split("\n") if line]
    assert [line for line in lines if not line.startswith("{")] == []
    entries = [json.loads(line) for line in lines]
    above_debug = "\n".join(str(entry) for entry in entries if entry["level"] != "debug")
    assert [address for address in (OWNER, *CLIENTS) if address in above_debug] == []
    assert "debug" in {entry["level"] for entry in entries}
    assert [entry for entry in entries if entry["level"] in ("error", "critical")] == []
    requests = [entry for entry in entries if entry["logger"] == "skymailing.requests"]
    jobs = [entry for entry in entries if entry["logger"] == "skymailing.jobs"]
    assert {"/auth/register", "/auth/reset/<token>", "/u/<token>", "/mailings/new"} <= {
        entry["route"] for entry in requests
    }
    assert set(JOBS) <= {entry["job"] for entry in jobs}
    assert len({entry["request_id"] for entry in requests}) == len(requests)
    assert all("run_id" in entry for entry in jobs if entry["job"] == "send_slice")
