"""Test that no step of a sequence is sent twice or lost when an older backup is restored."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db
from skymailing.models import Delivery, Run, Segment, Sequence, SequenceStep, Trigger, User
from skymailing.sequences import queries, services
from tests.processes.commands import run_command
from tests.support.factories import ClientFactory, create_clients
from tests.support.sequence_factories import ACTOR, NOON, Sequences, days

DAY = timedelta(days=1)
BACKUP, RESTORE, END = NOON + 3 * DAY, NOON + 9 * DAY, NOON + 34 * DAY
Letters = set[tuple[int, int, str]]  # the sequence, the position of the step, and the address


@pytest.fixture
def sequences(app: Flask, session: Session, user: User) -> Sequences:
    return Sequences(app, session, user)


@pytest.fixture
def original(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return environment | {"DATA_DIR": str(tmp_path)}


@pytest.fixture
def restored(
    sequences: Sequences, original: dict[str, str], replacement: dict[str, str], tmp_path: Path
) -> Iterator[Sequences]:
    """Yield the sequences of an installation that has lost six days: it has the backup from before."""
    begin(sequences)
    file = str(tmp_path / "backup.tar")
    with time_machine.travel(BACKUP):
        run_command(original, "backup", file)
    sweep(sequences, BACKUP, RESTORE)
    with time_machine.travel(RESTORE):
        output = run_command(replacement, "restore", file)
    assert output.count("\tWelcome: ") == 12
    app = create_app(TestingConfig(replacement))
    with app.app_context():
        engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    with closing(Session(engine, expire_on_commit=False)) as session:
        yield Sequences(app, session, sequences.owner)
    engine.dispose()
    with app.app_context():
        db.engine.dispose()


def begin(sequences: Sequences) -> None:
    """Start a sequence of each kind, with clients before, at and after the time of the backup."""
    owner = sequences.owner
    session = sequences.session
    label = sequences.tag("lead")
    # Clients born on the 5th to 20th of March, and clients added that many days ago.
    for day in range(5, 21):
        ClientFactory.create(owner=owner, attributes={"birthday": f"1990-03-{day:02}"})
    for number in range(16):
        ClientFactory.create(owner=owner, created_at=NOON - (30 - number) * DAY)
    condition = {"field": "added_at", "op": "older_than_days", "value": 30}
    segment = Segment(owner_id=owner.id, name="Old", conditions=condition)
    session.add(segment)
    early, late = create_clients(owner, 2)
    session.flush()
    steps = (days(0), days(2), days(2), days(9))
    sequences.create(*steps, trigger=Trigger.TAG, tag_id=label.id)
    sequences.create(*steps, trigger=Trigger.DATE, date_key="birthday")
    sequences.create(*steps, trigger=Trigger.SEGMENT, segment_id=segment.id)
    sequences.tag("lead", early)
    sweep(sequences, NOON, BACKUP)
    sequences.tag("lead", late)  # the backup contains this trigger


def sweep(sequences: Sequences, start: datetime, end: datetime) -> None:
    """Sweep from one time to another."""
    while start <= end:
        sequences.sweep(start)
        start += timedelta(hours=12)


def list_letters(sequences: Sequences) -> Letters:
    rows = select(SequenceStep.sequence_id, SequenceStep.position, Delivery.email)
    rows = rows.join(Run, Run.id == Delivery.run_id)
    rows = rows.join(SequenceStep, SequenceStep.mailing_id == Run.mailing_id)
    found = [row._tuple() for row in sequences.session.execute(rows)]
    assert len(set(found)) == len(found)
    return set(found)


def resume_all(sequences: Sequences, *, sends_uncertain: bool = False) -> None:
    for sequence in sequences.session.scalars(select(Sequence)).all():
        with sequences.app.app_context():
            found = db.session.get_one(Sequence, sequence.id)
            assert services.find_restored(found)
            services.start_sequence(found, RESTORE + DAY, ACTOR, sends_uncertain=sends_uncertain)
            db.session.commit()
            assert services.find_restored(found) is None


def test_letters_that_may_have_been_sent_since_the_backup_are_skipped(
    restored: Sequences, sequences: Sequences
) -> None:
    sent = list_letters(sequences)
    kept = list_letters(restored)
    assert kept < sent
    sweep(restored, RESTORE, RESTORE + DAY)
    assert list_letters(restored) == kept, "nothing is sent until the owner decides"
    resume_all(restored)

    sweep(restored, RESTORE + DAY, END)
    again = (list_letters(restored) - kept) & sent
    assert not again
    # All other letters are sent that the original would have sent. For the segment, more letters are skipped,
    # because it is not known when clients got into it.
    sweep(sequences, RESTORE, END)
    lost = list_letters(sequences) - list_letters(restored) - sent
    segment = sequences.session.scalars(select(Sequence.id).where(Sequence.trigger == Trigger.SEGMENT)).one()
    assert {sequence for sequence, _step, _email in lost} <= {segment}


@pytest.mark.one_engine
def test_the_owner_can_send_uncertain_letters(restored: Sequences, sequences: Sequences) -> None:
    sweep(restored, RESTORE, RESTORE + DAY)
    with restored.app.app_context():
        counts = [queries.count_uncertain(found) for found in db.session.scalars(select(Sequence))]
    assert all(counts)
    resume_all(restored, sends_uncertain=True)
    sweep(restored, RESTORE + DAY, END)
    sweep(sequences, RESTORE, END)
    assert list_letters(restored) >= list_letters(sequences)
