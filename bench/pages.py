"""Benchmark pages: public pages compared with a bare Flask route, and lists with many rows."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from bench.postfix import find_free_port, wait_for_port
from bench.rows import Row, Sizes
from bench.service import PROJECT_DIR, MeasurementFailed, Service
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow
from skymailing.models import Archive, ArchiveEntry, Article, Mailing, Message, MessageFormat, Run, User
from skymailing.processes import programs
from skymailing.security import hash_password

MEASURE_SECONDS = 4.0
WARM_UP = 1.0
TURN_SECONDS, TURNS = 1.5, 5  # seconds per turn and turns per round, where two servers alternate
CONNECTIONS = 8
FEW_ROWS = 1_000
MAX_LIST_RATIO = 1.2
PASSWORD = "correct horse battery"
ARTICLES = 30
PUBLIC_PAGES = {
    "home page": "/",
    "blog": "/blog/",
    "article": "/blog/article-1",
    "published letter": "/archive/shop/news",
}
# Each page's required ratio and its goal, which are lower for an article, because its views are counted.
RATIOS = {name: (0.6, 0.8) if name == "article" else (0.8, 0.9) for name in PUBLIC_PAGES}
LISTS = {
    "clients": "/clients/",
    "mailings": "/mailings/",
    "log of all mailings": "/logs/",
    "log of a mailing": "/mailings/{mailing}/log",
    "a mailing": "/mailings/{mailing}",
    "home page": "/",
}

# SQL for PostgreSQL, in the order of foreign keys. Each statement inserts a million rows within a minute.
FILL = (
    """INSERT INTO messages (owner_id, subject, format, body, created_at, updated_at)
       VALUES (:owner, 'Новости', 'markdown', 'Здравствуйте', now(), now())""",
    """INSERT INTO mailings (owner_id, message_id, name, sender_name, audience, starts_at, ends_at,
           periodicity, on_unknown, on_late, weekdays, state, state_reason, disabled_reason, created_at,
           updated_at)
       SELECT :owner, (SELECT max(id) FROM messages), 'Рассылка ' || n, 'ООО', 'all',
              now() - n * interval '1 minute', now() + interval '1 day', 'once', 'resend', 'send',
              '1234567', 'finished', '', '', now(), now()
       FROM generate_series(1, :count) n""",
    """INSERT INTO runs (mailing_id, uuid, scheduled_for, state, planned, started_at, finished_at, subject,
           format, body, sender_name, reply_to)
       SELECT max(id), gen_random_uuid(), now(), 'finished', :count, now(), now(), 'Новости', 'markdown',
              'x', 'ООО', 'a@sky.example'
       FROM mailings""",
    """INSERT INTO deliveries (run_id, client_id, email, email_key, state, attempts, finished_at)
       SELECT (SELECT max(id) FROM runs), id, email, email_key, 'sent', 1, now()
       FROM clients WHERE owner_id = :owner""",
    """INSERT INTO attempts (delivery_id, run_id, mailing_id, owner_id, number, at, outcome, code, answer,
           route)
       SELECT id, run_id, (SELECT max(id) FROM mailings), :owner, 1, now() - id * interval '1 second', 'sent',
              250, '2.0.0 Ok: queued', 'default'
       FROM deliveries WHERE run_id = (SELECT max(id) FROM runs)""",
    "VACUUM ANALYZE",  # as autovacuum does within minutes
)


@contextlib.contextmanager
def web_server(service: Service, application: str = "wsgi:app") -> Iterator[int]:
    """Run the web server as `flask up` does, with the service or another app; yield its port."""
    port = find_free_port()
    config = dict(service.app.config) | {"HOST": "127.0.0.1", "PORT": port}
    (web,) = [program for program in programs.list_programs(config) if program.name == "web"]
    command = [application if part == "wsgi:app" else part for part in web.command]
    log = service.directory / "web.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            env=os.environ | service.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def load(
    port: int,
    path: str,
    seconds: float,
    connections: int = CONNECTIONS,
    cookie: str = "",
    *,
    header: str = "",
) -> dict[str, float]:
    """Load a page repeatedly in a separate process; return the figures from bench.load."""
    line = f"Cookie: {cookie}" if cookie else header
    command = [sys.executable, "-m", "bench.load", str(port), path, str(seconds), str(connections), line]
    result = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    if result.returncode:
        raise MeasurementFailed(f"{path}: {result.stderr}")
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


def pages(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare the home page, the blog, an article and a published letter with a bare route.

    All of them are cached, and the visitor is anonymous. Both servers run all the time and are measured in
    short alternating turns, so that other load on the machine affects both. The result is the median of the
    turns.
    """
    rates: dict[str, list[float]] = {name: [] for name in ("bare", *PUBLIC_PAGES)}
    with (
        testbed.service(POSTGRESQL) as service,
        web_server(service, "bench.bare_flask:app") as bare_port,
        web_server(service) as port,
    ):
        write_articles(service)
        targets = {
            "bare": (bare_port, "/"),
            **{name: (port, path) for name, path in PUBLIC_PAGES.items()},
        }
        for target in targets.values():
            load(*target, WARM_UP)
        for _ in range(TURNS * sizes.rounds):
            for name, target in targets.items():
                rates[name].append(load(*target, TURN_SECONDS)["per_second"])
    bare = statistics.median(rates["bare"])
    for name in PUBLIC_PAGES:
        ratios = [ours / bare_rate for ours, bare_rate in zip(rates[name], rates["bare"], strict=True)]
        ratio = statistics.median(ratios)
        required, goal = RATIOS[name]
        yield Row(
            f"{name}, cached, anonymous, compared with a bare Flask route",
            f"{ratio:.2f} x ({statistics.median(rates[name]):,.0f}/s vs. {bare:,.0f}/s)",
            f">= {required} x",
            f"{goal} x",
            ratio >= required,
            {"per_second": rates[name], "bare": rates["bare"], "ratios": ratios},
        )


def write_articles(service: Service) -> None:
    with Session(service.engine) as session:
        author = User(email="author@sky.example", password_hash="", name="Ольга", confirmed_at=utcnow())
        session.add(author)
        for number in range(ARTICLES):
            published = utcnow() - timedelta(days=number + 1)
            session.add(
                Article(
                    author=author,
                    slug=f"article-{number}",
                    title=f"Статья {number}",
                    summary="Коротко о том, как писать письма, которые читают." * 2,
                    body="Абзац **текста**, как в настоящей статье.\n\n" * 40,
                    published_at=published,
                )
            )
        session.flush()
        publish_letter(session, author)


def publish_letter(session: Session, owner: User) -> None:
    now = utcnow()
    content = {"subject": "Новости", "format": MessageFormat.HTML, "body": "", "sender_name": "Ольга"}
    mailing = Mailing(
        owner=owner,
        message=Message(owner=owner, subject="Новости", format=MessageFormat.HTML, body=""),
        name="Новости",
        starts_at=now,
        ends_at=now + timedelta(days=1),
    )
    run = Run(mailing=mailing, scheduled_for=now, started_at=now, reply_to="a@sky.example", **content)
    session.add_all([run, Archive(owner=owner, slug="shop")])
    session.flush()
    page = f"<!DOCTYPE html><html><head></head><body>{'<p>Абзац текста.</p>' * 200}</body></html>"
    entry = ArchiveEntry(owner_id=owner.id, mailing=mailing, run_id=run.id, slug="news", title="Новости")
    entry.html, entry.sent_at = page, now
    session.add(entry)
    session.flush()


@dataclass(frozen=True)
class Site:
    """A running installation, whose owner is signed in and has the same number of rows in each list."""

    port: int
    cookie: str
    mailing: int

    def measure(self, path: str, seconds: float) -> float:
        """Return the median time of a list in milliseconds."""
        return load(self.port, path.format(mailing=self.mailing), seconds, 1, self.cookie)["median_ms"]


def lists(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare short lists in a small database with long ones in a large database, in alternating turns."""
    with contextlib.ExitStack() as stack:
        few, many = (stack.enter_context(open_site(testbed, count)) for count in (FEW_ROWS, sizes.many))
        for name, path in LISTS.items():
            times: list[tuple[float, float]] = []
            for seconds in (WARM_UP, *[TURN_SECONDS] * TURNS):
                times.append((few.measure(path, seconds), many.measure(path, seconds)))
            few_ms, many_ms = (statistics.median(turns) for turns in zip(*times[1:], strict=True))
            ratio = statistics.median(large / small for small, large in times[1:])
            yield Row(
                f"list with {sizes.many:,} rows compared with {FEW_ROWS:,}: {name}",
                f"{ratio:.2f} x ({many_ms:.1f} ms vs. {few_ms:.1f} ms)",
                f"<= {MAX_LIST_RATIO} x",
                "1.0 x",
                ratio <= MAX_LIST_RATIO,
                {"few_and_many_ms": times},
            )


@contextlib.contextmanager
def open_site(testbed: Testbed, count: int) -> Iterator[Site]:
    """Run an installation in which an owner has `count` rows in each list."""
    with testbed.service(POSTGRESQL) as service, web_server(service) as port:
        service.pause_workers()
        owner, mailing = create_rows(service, count)
        yield Site(port, sign_in(service, owner), mailing)


def create_rows(service: Service, count: int) -> tuple[int, int]:
    """Create an owner with `count` clients, mailings and attempts; return the owner's and a mailing's ID."""
    owner = service.add_owner(count)
    with Session(service.engine) as session:
        for statement in FILL:
            values = {"owner": owner, "count": count}
            session.execute(text(statement), {key: values[key] for key in values if f":{key}" in statement})
        return owner, int(session.scalar(text("SELECT max(id) FROM mailings")) or 0)


def sign_in(service: Service, owner: int) -> str:
    """Sign the owner in; return the session cookie."""
    with service.app.app_context():
        password_hash = hash_password(PASSWORD)
    with Session(service.engine) as session:
        user = session.get_one(User, owner)
        user.password_hash = password_hash
        session.flush()
        email = user.email
    browser = service.app.test_client()
    base_url = "https://sky.example"
    page = browser.get("/auth/login", base_url=base_url).text
    token = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    response = browser.post(
        "/auth/login",
        base_url=base_url,
        headers={"Referer": f"{base_url}/auth/login"},
        data={"email": email, "password": PASSWORD, "csrf_token": token},
    )
    name = service.app.config["SESSION_COOKIE_NAME"]
    cookie = browser.get_cookie(name, domain="sky.example")
    if response.status_code != 302 or cookie is None:
        raise MeasurementFailed(f"sign-in failed: {response.status}")
    return f"{name}={cookie.value}"


ROWS = {"pages": pages, "lists": lists}
