"""Benchmark sign-up forms: the public page, submitted forms per second, and the confirmation letter."""

import http.client
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench.pages import TURN_SECONDS, TURNS, WARM_UP, load, web_server
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clock import utcnow
from skymailing.email_addresses import address_key
from skymailing.models import LetterState, OutboxLetter, SignupForm
from skymailing.outbox.signup_letters import CONFIRM_SIGNUP
from skymailing.signup.stamps import make_step_stamp

OWNERS, FORMS = 5, 10  # enough that the requests to a form do not look like an attack
SUBMITTED = 1_500
TIMED_REQUESTS = 12  # requests whose letters are timed
MAILING = 40_000  # letters of the same owner's mailing at that time
DEADLINE = 60.0  # seconds within which all letters must be sent
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "bench"}


@dataclass(frozen=True)
class Submission:
    """A visitor's request from a separate network."""

    path: str
    body: str
    ip: str


def signup(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the cached page, submitted forms, and the delay of a confirmation letter during a mailing."""
    yield from compare_pages(testbed, sizes)
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            service.environment["TRUSTED_PROXIES"] = "1"  # each request states its network in a header
            forms = add_forms(service)
            with web_server(service) as port:
                yield measure_submissions(service, forms, port, database)
                yield measure_letters(service, port, database)


def compare_pages(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Compare the page of a form, cached and anonymous, with a bare Flask route, in alternating turns."""
    rates: dict[str, list[float]] = {"bare": [], "form": []}
    with (
        testbed.service(POSTGRESQL) as service,
        web_server(service, "bench.bare_flask:app") as bare_port,
        web_server(service) as port,
    ):
        form = add_forms(service)[0]
        targets = {"bare": (bare_port, "/"), "form": (port, f"/f/{form.uuid}")}
        for target in targets.values():
            load(*target, WARM_UP)
        for _ in range(TURNS * sizes.rounds):
            for name, target in targets.items():
                rates[name].append(load(*target, TURN_SECONDS)["per_second"])
    ratio = statistics.median(
        ours / bare_rate for ours, bare_rate in zip(rates["form"], rates["bare"], strict=True)
    )
    ours, bare = (statistics.median(rates[name]) for name in ("form", "bare"))
    measured = f"{ratio:.2f} x ({ours:,.0f}/s vs. {bare:,.0f}/s)"
    what = "sign-up form, cached, anonymous, compared with a bare Flask route"
    yield Row(what, measured, ">= 0.8 x", "0.9 x", ratio >= 0.8, dict(rates))


def add_forms(service: Service, clients: int = 1) -> list[SignupForm]:
    """Add forms of owners who have this number of clients."""
    owners = [service.add_owner(clients) for _ in range(OWNERS if clients == 1 else 1)]
    with Session(service.engine, expire_on_commit=False) as session:
        fields = [{"key": "full_name", "label": "Имя", "is_required": False}]
        forms = [
            SignupForm(
                owner_id=owners[number % len(owners)],
                name=f"Форма {number}",
                language="ru",
                consent_text="Согласен",
                fields=fields,
            )
            for number in range(FORMS)
        ]
        session.add_all(forms)
        session.flush()
        return forms


def make_submission(service: Service, form: SignupForm, name: str, number: int) -> Submission:
    """Return the request of a visitor who has opened the form and completed the extra step."""
    email = f"{name}{number}@mail.example"
    with service.app.app_context():
        stamp = make_step_stamp(form.uuid, address_key(email), 0, utcnow())
    body = urlencode({"email": email, "full_name": "Анна", "stamp": stamp, "website": ""})
    return Submission(f"/f/{form.uuid}", body, f"10.{number // 250 % 250}.{number % 250}.{len(name)}")


def submit_all(port: int, submissions: Sequence[Submission], connections: int) -> float:
    """Send all requests over several connections; return the time in seconds or raise MeasurementFailed."""

    def submit_part(part: Sequence[Submission]) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        results = []
        for submission in part:
            headers = HEADERS | {"X-Forwarded-For": submission.ip}
            connection.request("POST", submission.path, submission.body.encode(), headers)
            response = connection.getresponse()
            results.append(f"{response.status} {'Проверьте почту' in response.read().decode()}")
        connection.close()
        return results

    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        parts = [submissions[start::connections] for start in range(connections)]
        results = [result for part in pool.map(submit_part, parts) for result in part]
    seconds = time.perf_counter() - started
    if set(results) != {"200 True"}:
        raise MeasurementFailed(f"sign-up forms were rejected: {sorted(set(results))}")
    return seconds


def measure_submissions(service: Service, forms: list[SignupForm], port: int, database: str) -> Row:
    """Measure requests per second while two workers send the letters, exactly one for each request."""
    submissions = [
        make_submission(service, forms[number % FORMS], "person", number) for number in range(SUBMITTED)
    ]
    submit_all(port, [make_submission(service, form, "warm", n) for n, form in enumerate(forms)], 1)
    rate = SUBMITTED / submit_all(port, submissions, 8)
    service.wait_until(lambda: count_sent(service) == SUBMITTED + FORMS, "all letters to be sent", DEADLINE)
    what = f"submitted sign-up forms per second, {database}"
    return Row(what, f"{rate:,.0f}/s", ">= 100/s", "200/s", rate >= 100, {"per_second": rate})


def count_sent(service: Service) -> int:
    sent = (OutboxLetter.template == CONFIRM_SIGNUP) & (OutboxLetter.state == LetterState.SENT)
    with Session(service.engine) as session:
        return session.scalar(select(func.count()).select_from(OutboxLetter).where(sent)) or 0


def measure_letters(service: Service, port: int, database: str) -> Row:
    """Measure how long confirmation letters take while a mailing of the form's owner is being sent."""
    form = add_forms(service, MAILING)[0]
    mailing = service.add_mailing(form.owner_id, utcnow())
    service.start_mailing(mailing)
    service.wait_until(lambda: service.find_run(mailing) is not None, "the mailing to start", DEADLINE)
    times = []
    for number in range(TIMED_REQUESTS):
        times.append(time_letter(service, port, make_submission(service, form, "timed", number)))
    service.wait_for_end(mailing, 600)
    what = f"confirmation letter while the owner's mailing is being sent, {database}"
    measured = f"{statistics.median(times):.1f} s, at most {max(times):.1f} s in {TIMED_REQUESTS} letters"
    return Row(what, measured, "<= 2 s", "1 s", statistics.median(times) <= 2, {"seconds": times})


def time_letter(service: Service, port: int, submission: Submission) -> float:
    before = count_sent(service)
    started = time.perf_counter()
    submit_all(port, [submission], 1)
    service.wait_until(lambda: count_sent(service) > before, "a letter to be sent", DEADLINE)
    return time.perf_counter() - started


ROWS = {"signup": signup}
