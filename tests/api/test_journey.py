"""The main tasks through the API alone: clients, a message, a mailing, and the result of each letter."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from tests.api.conftest import Program
from tests.support.servers import SmtpServer


def test_the_main_tasks_through_the_api_alone(
    program: Program, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    clients = [{"email": f"c{n}@example.org", "full_name": f"C {n}", "tags": ["vip"]} for n in range(3)]
    batch = program.post("/clients/batch", {"clients": clients})
    assert batch.status_code == 200, batch.text
    assert batch.json is not None
    assert batch.json["created"] == 3
    message = program.post(
        "/messages",
        {"subject": "Hello, {{ name }}", "format": "markdown", "body": "Hi {{ unsubscribe_url }}"},
    )
    assert message.status_code == 201, message.text
    assert message.json is not None
    mailing = program.post(
        "/mailings",
        {
            "name": "News",
            "message_id": message.json["id"],
            "audience": "all",
            "ends_at": (utcnow() + timedelta(days=1)).isoformat(),
            "periodicity": "once",
        },
    )
    assert mailing.status_code == 201, mailing.text
    assert mailing.json is not None
    work()
    (run,) = program.read(f"/mailings/{mailing.json['id']}/runs")["data"]
    assert (run["state"], run["planned"], run["counts"]["sent"]) == ("finished", 3, 3)
    assert sum(run["counts"].values()) == run["planned"]
    deliveries = program.read_all(f"/runs/{run['id']}/deliveries?limit=2")
    assert [(row["email"], row["state"]) for row in deliveries] == [
        (f"c{n}@example.org", "sent") for n in range(3)
    ]
    attempts = program.read_all(f"/runs/{run['id']}/attempts?limit=2")
    assert sorted(row["email"] for row in attempts) == sorted(row["email"] for row in deliveries)
    assert {row["code"] for row in attempts} == {250}
    (attempt,) = program.read(f"/deliveries/{deliveries[0]['id']}/attempts")["data"]
    assert attempt["answer"]
