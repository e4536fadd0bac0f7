"""Test the limits of imports: clients and stored rejections."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clients import client_limit, tasks
from skymailing.clients.explanations import explain_failure
from skymailing.models import Client, ImportRejection, ImportState
from tests.clients.conftest import Import
from tests.clients.test_imports import make_table
from tests.conftest import SetLimits


@pytest.mark.parametrize("near", [20_000, 0])
def test_an_import_stops_at_the_limit_of_clients(
    run: Import, session: Session, set_limits: SetLimits, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(client_limit, "LITTLE_ROOM", near)
    monkeypatch.setattr(tasks, "BATCH_SIZE", 500)
    set_limits(clients=1001)
    run("email\nclient0@example.com\n")

    import_ = run(make_table(1200))

    assert import_.state is ImportState.FAILED
    assert explain_failure(import_.error) == "You can have up to 1,001 clients."
    count = select(func.count()).select_from(Client)
    assert session.scalar(count) in (1000, 1001), "no batch exceeds the limit"
    stored = session.scalar(count)
    assert run("email,name\nclient0@example.com,Anna\n").updated == 1, "known clients can still be updated"
    assert session.scalar(count) == stored


def test_only_some_rejected_rows_are_stored(run: Import, session: Session, set_limits: SetLimits) -> None:
    set_limits(rejections_per_import=3)

    import_ = run("email\n" + "no address\n" * 5 + "anna@example.com\n")

    assert (import_.rejected, import_.created) == (5, 1)
    lines = session.scalars(select(ImportRejection.line).order_by(ImportRejection.line)).all()
    assert lines == [2, 3, 4]
