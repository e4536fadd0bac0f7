"""Benchmark the API: adding clients in batches, reading deliveries page by page, and reading one client."""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from bench.pages import load, sign_in, web_server
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.api.keys import digest_of
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import ApiKey, KeyKind

SECRET = f"sky_live_{'x' * 27}"
HEADER = f"Authorization: Bearer {SECRET}"
COUNT = 40_000  # clients in a run, and in the batches
ROWS_PER_BATCH = 1_000
CONNECTIONS = 2
WARM_UP, TURN_SECONDS, TURNS = 1.0, 2.0, 5
Send = Callable[..., Any]


def api(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure the API on both databases, with the web server that `flask up` runs."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            limits = ("API_REQUESTS_PER_MINUTE", "CLIENTS")
            service.environment |= {f"LIMIT_{name}": "0" for name in limits}
            service.pause_workers()
            owner = service.add_owner(COUNT)
            add_key(service, owner)
            mailing = service.add_mailing(owner, utcnow())
            with service.app.app_context():
                plan.start_due_run(mailing, utcnow())
            run = service.find_run(mailing)
            if run is None:
                raise MeasurementFailed("nothing was planned")
            cookie = sign_in(service, owner)
            with web_server(service) as port:
                yield measure_deliveries(port, run.id, COUNT, database)
                yield measure_get(port, cookie, database)
                yield from measure_batches(port, COUNT, database)


def add_key(service: Service, owner_id: int) -> None:
    with Session(service.engine) as session:
        values = {"kind": KeyKind.LIVE, "prefix": SECRET[:13], "digest": digest_of(SECRET), "scopes": []}
        session.add(ApiKey(owner_id=owner_id, name="Bench", **values))
        session.flush()


def measure_batches(port: int, count: int, database: str) -> Iterator[Row]:
    """Send batches of new clients over several connections, then the same batches again."""
    batches = [write_batch(number) for number in range(-CONNECTIONS, count // ROWS_PER_BATCH)]
    send_all(port, batches[:CONNECTIONS])  # warms up
    batches = batches[CONNECTIONS:]
    for verdict in ("created", "unchanged"):
        start = time.perf_counter()
        responses = send_all(port, batches)
        rate = count / (time.perf_counter() - start)
        if sum(response[verdict] for response in responses) != len(batches) * ROWS_PER_BATCH:
            raise MeasurementFailed(f"not all clients were {verdict}")
        is_required = verdict == "created"
        yield Row(
            f"API, {database}: clients per second in batches, {verdict}",
            f"{rate:,.0f}",
            ">= 5,000" if is_required else "",
            "10,000" if is_required else "",
            rate >= 5_000 if is_required else None,
            {"per_second": rate},
        )


def write_batch(number: int) -> str:
    first = number * ROWS_PER_BATCH
    rows = [
        {
            "email": f"buyer{n}@shop{n % 500}.example",
            "full_name": f"Анна Петрова {n}",
            "tags": ["vip"] if n % 3 == 0 else [],
            "attributes": {"city": "Нижний Новгород", "phone": f"+7999{n:07d}"},
        }
        for n in range(first, first + ROWS_PER_BATCH)
    ]
    return json.dumps({"clients": rows}, ensure_ascii=False)


def send_all(port: int, batches: list[str]) -> list[dict[str, int]]:
    """Send the batches over several connections, each batch with its own Idempotency-Key."""

    def work(share: list[str]) -> list[dict[str, int]]:
        send = connect(port)
        return [
            send("POST", "/api/v1/clients/batch", batch, {"Idempotency-Key": str(uuid4())}) for batch in share
        ]

    shares = [batches[number::CONNECTIONS] for number in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [response for responses in pool.map(work, shares) for response in responses]


def connect(port: int) -> Send:
    """Return a function that sends requests over one connection and returns the JSON of the responses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> Any:
        common = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
        connection.request(method, path, body.encode(), common | (headers or {}))
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise MeasurementFailed(f"{path}: {response.status} {text[:300]!r}")
        return json.loads(text)

    return send


def measure_deliveries(port: int, run_id: int, count: int, database: str) -> Row:
    """Read all deliveries of a run page by page, over several connections; take the median of three."""
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            read = list(pool.map(lambda _: read_deliveries(port, run_id), range(CONNECTIONS)))
        if read != [count] * CONNECTIONS:
            raise MeasurementFailed(f"read {read} of {count} deliveries")
        rates.append(sum(read) / (time.perf_counter() - start))
    rate = statistics.median(rates)
    return Row(
        f"API, {database}: deliveries per second by cursor",
        f"{rate:,.0f}",
        ">= 20,000",
        "40,000",
        rate >= 20_000,
        {"per_second": rates},
    )


def read_deliveries(port: int, run_id: int) -> int:
    """Read all pages of a run's deliveries; return the number of deliveries."""
    send, read, after = connect(port), 0, ""
    while True:
        page = send("GET", f"/api/v1/runs/{run_id}/deliveries?limit=200{after}")
        read += len(page["data"])
        if page["next"] is None:
            return read
        after = f"&after={page['next']}"


def measure_get(port: int, cookie: str, database: str) -> Row:
    """Compare reading a client with loading the client list, in short alternating rounds."""
    client = connect(port)("GET", "/api/v1/clients?limit=1")["data"][0]["id"]
    targets = {"api": (f"/api/v1/clients/{client}", HEADER), "page": ("/clients/", f"Cookie: {cookie}")}
    times: dict[str, list[float]] = {name: [] for name in targets}
    for path, header in targets.values():
        load(port, path, WARM_UP, 1, header=header)
    for _ in range(TURNS):
        for name, (path, header) in targets.items():
            times[name].append(load(port, path, TURN_SECONDS, 1, header=header)["p95_ms"])
    ours, page = (statistics.median(times[name]) for name in ("api", "page"))
    return Row(
        f"API, {database}: 95th percentile of reading a client, compared with the list's page",
        f"{ours / page:.2f} x ({ours:.1f} ms vs. {page:.1f} ms)",
        "<= 1.5 x",
        "1 x",
        ours <= 1.5 * page,
        {"api_ms": times["api"], "page_ms": times["page"]},
    )


ROWS = {"api": api}
