"""Test that a worker may end between any two statements (faults 21 and 22)."""

import gc
import os
import random
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import delivery
from skymailing.clock import utcnow
from skymailing.delivery import plan, send
from skymailing.extensions import db
from skymailing.models import OnUnknown, Run, User
from tests.delivery.ledger import check_ledger, count_states
from tests.faults.conftest import Engine
from tests.faults.sink import Sink
from tests.support.factories import create_clients, due_mailing
from tests.support.steps import StepTracer, kill_process

RECIPIENTS = 3
MODULES = (
    "send",
    "batch",
    "journal",
    "ledger/claims",
    "ledger/record",
    "ledger/late_results",
    "ledger/attempts",
    "ledger/run_counts",
    "routing/session_pool",
    "smtp/pipeline",
    "smtp/session",
)
FILES = {str(Path(delivery.__path__[0]) / f"{name}.py") for name in MODULES}
SAMPLE = 4  # number of random steps in the short test
STRIDE = 10  # the long test checks every tenth step

pytestmark = pytest.mark.soak  # tracing every line is slow


def send_all(app: Flask, run_id: int) -> None:
    with app.app_context():
        send.send_slice(run_id, lambda _seconds: False)


def stop_worker(app: Flask, run_id: int, step: int) -> None:
    """Simulate a second stop signal, which rq turns into an exception at any line."""

    def exit_worker() -> None:
        raise SystemExit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # about a socket that has just been opened
        with suppress(SystemExit), StepTracer(FILES, step, exit_worker):
            send_all(app, run_id)
        gc.collect()


def kill_worker(app: Flask, run_id: int, step: int) -> None:
    """Send letters in a child process that is killed at the given step."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        with app.app_context():
            db.engine.dispose(close=False)  # these connections belong to the parent
        with StepTracer(FILES, step, kill_process):
            send_all(app, run_id)
    finally:
        os._exit(0)


def count_steps(app: Flask, run_id: int) -> int:
    with StepTracer(FILES) as steps:
        send_all(app, run_id)
    return steps.count


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("end", [stop_worker, kill_worker])
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelined", "step by step"])
@pytest.mark.parametrize("is_long", [False, True], ids=["few", "many"])
def test_21_22_a_worker_may_end_before_any_statement(
    app: Flask,
    session: Session,
    user: User,
    engine: Engine,
    end: Callable[[Flask, int, int], None],
    extensions: tuple[str, ...],
    is_long: bool,
) -> None:
    assert all(Path(file).exists() for file in FILES)
    create_clients(user, RECIPIENTS)

    def start() -> Run:
        with app.app_context():
            run_id = plan.start_due_run(due_mailing(user, on_unknown=OnUnknown.HOLD).id, utcnow())
        return session.get_one(Run, run_id)

    with Sink(extensions=extensions) as sink:
        engine.use_server(sink.port)
        count = count_steps(app, start().id)
        all_steps = range(random.randint(1, STRIDE), count + 1, STRIDE)
        steps = all_steps if is_long else sorted(random.sample(all_steps, SAMPLE))
        for step in steps:
            sink.letters.clear()
            engine.use_server(sink.port)  # closes the sessions
            run = start()
            end(app, run.id, step)
            engine.sweep()

            outcome = f"ended before step {step} of {count}: {count_states(session, run)}"
            # Letters from the previous run may still arrive at this point.
            letters = [letter for letter in sink.letters if run.uuid.hex.encode() in letter.content]
            check_ledger(session, run, letters)
            assert set(count_states(session, run)) <= {"sent", "unknown"}, outcome
            assert max(Counter(letter.to for letter in letters).values()) == 1, outcome
            assert count_states(session, run).get("unknown", 0) <= 1, outcome
