"""Test enrolments when clients are deleted, restored or merged, and the data of deleted sequences."""

import csv
import io
import json
import zipfile
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skymailing.auth.deletion_batches import delete_batch
from skymailing.auth.export.files import export_account
from skymailing.clients import deletion, merging
from skymailing.clients.tag_changes import merge_tags, rename_tag
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Enrolment,
    EnrolmentState,
    Removal,
    Sequence,
    SequenceSignal,
    StepLetter,
    Tag,
    Trigger,
    User,
)
from skymailing.retention.batches import TimeBudget
from skymailing.retention.sequences import LAST_SEARCH, remove_enrolments
from skymailing.sequences.services import archive_sequence
from tests.support.factories import ClientFactory, create_clients
from tests.support.sequence_factories import ACTOR, NOON, Sequences, days

DAY = timedelta(days=1)


def start(sequences: Sequences, *clients: Client, **values: object) -> Sequence:
    """Create a sequence that begins with a tag, and add the tag to the clients."""
    tag = sequences.tag("lead")
    sequence = sequences.create(days(0), days(5), trigger=Trigger.TAG, tag_id=tag.id, **values)  # type: ignore[arg-type]
    sequences.tag("lead", *clients)
    sequences.sweep(NOON)
    return sequence


def test_a_restored_client_continues_and_gets_no_step_again(
    app: Flask, sequences: Sequences, user: User, session: Session
) -> None:
    client = ClientFactory.create(owner=user)
    sequence = start(sequences, client, reenter_days=1)
    email = client.email
    with app.app_context():
        _count, removal = deletion.delete_clients(user.id, [client.id], NOON, ACTOR)
        db.session.commit()
        assert removal is not None
        assert not db.session.scalars(select(Enrolment)).all()
        deletion.restore_clients(user.id, removal.id, NOON, ACTOR)
        db.session.commit()
    assert not session.scalars(select(SequenceSignal)).all()
    assert len(session.scalars(select(StepLetter)).all()) == 1
    for day in range(7):
        sequences.sweep(NOON + day * DAY)
    assert [sequences.list_letters(step) for step in sequences.list_steps(sequence)] == [[email], [email]]


def test_a_merged_client_continues_once(app: Flask, sequences: Sequences, user: User) -> None:
    kept, removed = create_clients(user, 2)
    sequence = start(sequences, removed)
    with app.app_context():
        one, other = (db.session.get_one(Client, client.id) for client in (kept, removed))
        removal = merging.merge_clients(one, other, NOON, ACTOR)
        db.session.commit()
        removal_id = removal.id
    for day in range(7):
        sequences.sweep(NOON + day * DAY)
    first, second = sequences.list_steps(sequence)
    assert (sequences.list_letters(first), sequences.list_letters(second)) == ([removed.email], [kept.email])
    with app.app_context():
        merging.undo_merge(user.id, removal_id, NOON, ACTOR)
        db.session.commit()
        emails = select(Client.email).join(Enrolment, Enrolment.client_id == Client.id)
        assert db.session.scalars(emails).all() == [removed.email]


@pytest.mark.parametrize("ahead", ["kept", "removed"])
def test_two_merged_clients_in_a_sequence_continue_as_one(
    app: Flask, sequences: Sequences, user: User, session: Session, ahead: str
) -> None:
    """The kept client keeps its progress, so no letter is sent twice to an address."""
    kept, removed = create_clients(user, 2)
    first, second = (kept, removed) if ahead == "kept" else (removed, kept)
    sequence = start(sequences, first)
    sequences.add(sequence, second, now=NOON + 3 * DAY)
    old_email = removed.email
    with app.app_context():
        one, other = (db.session.get_one(Client, client.id) for client in (kept, removed))
        merging.merge_clients(one, other, NOON + 3 * DAY, ACTOR)
        db.session.commit()
    assert [enrolment.client_id for enrolment in session.scalars(select(Enrolment))] == [kept.id]
    for day in range(3, 12):
        sequences.sweep(NOON + day * DAY)
    letters = [sequences.list_letters(step) for step in sequences.list_steps(sequence)]
    of_removed = [old_email] if ahead == "removed" else []
    assert letters == [sorted([kept.email, *of_removed]), [kept.email]]
    assert sequences.find(sequence, kept).state == EnrolmentState.DONE


def test_a_client_who_is_erased_during_a_sequence_leaves_no_data(
    app: Flask, sequences: Sequences, user: User, session: Session
) -> None:
    """No enrolment, letter record or signal is left; counts do not change, and other clients continue."""
    erased, other, signalled = create_clients(user, 3)
    sequence = start(sequences, erased, other)
    sequences.tag("lead", signalled)
    with app.app_context():
        ids = [erased.id, signalled.id]
        deletion.delete_clients(user.id, ids, NOON, ACTOR)
        db.session.execute(delete(Removal))  # as after the time limit for undoing
        db.session.commit()
    for day in range(7):
        sequences.sweep(NOON + day * DAY)
    assert [enrolment.client_id for enrolment in session.scalars(select(Enrolment))] == [other.id]
    kept = select(StepLetter.enrolment_id).distinct()
    assert session.scalars(kept).all() == [sequences.find(sequence, other).id]
    assert not session.scalars(select(SequenceSignal)).all()
    second = sequences.list_steps(sequence)[1]
    assert sequences.list_letters(second) == [other.email]
    session.refresh(sequence)
    assert (sequence.entered, sequence.done) == (2, 1)


def test_a_merged_or_renamed_tag_is_followed(
    app: Flask, sequences: Sequences, user: User, session: Session
) -> None:
    tag, other = sequences.tag("lead"), sequences.tag("prospect")
    condition = {"field": "tag", "op": "is", "value": "lead"}
    sequence = sequences.create(
        days(1, conditions=condition), trigger=Trigger.TAG, tag_id=tag.id, exit_conditions=condition
    )
    with app.app_context():
        rename_tag(db.session.get_one(Tag, tag.id), "hot", ACTOR)
        db.session.commit()
    session.refresh(sequence)
    (step,) = sequences.list_steps(sequence)
    assert sequence.exit_conditions == step.conditions == condition | {"value": "hot"}
    with app.app_context():
        merge_tags(db.session.get_one(Tag, tag.id), db.session.get_one(Tag, other.id), ACTOR)
        db.session.commit()
    session.refresh(sequence)
    assert (sequence.tag_id, sequence.exit_conditions) == (other.id, condition | {"value": "prospect"})


def test_the_export_contains_sequences(app: Flask, sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    start(sequences, client)
    with app.app_context():
        data = b"".join(export_account(db.session.get_one(User, user.id), NOON, "en"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (sequence,) = json.loads(archive.read("sequences.json"))
        assert (sequence["name"], sequence["trigger"], sequence["entered"]) == ("Welcome", "tag", 1)
        assert [step["wait"] for step in json.loads(archive.read("sequence-emails.json"))] == [0, 5]
        (row,) = csv.DictReader(io.StringIO(archive.read("sequence-clients.csv").decode("utf-8-sig")))
        assert (row["sequence"], row["email"], row["state"]) == ("Welcome", client.email, "active")


def test_an_account_is_deleted_with_its_sequences(
    app: Flask, sequences: Sequences, user: User, session: Session
) -> None:
    start(sequences, *create_clients(user, 3))
    with app.app_context():
        while True:
            with db.engine.begin() as connection:
                if not delete_batch(connection, user.id):
                    break
    for model in (Sequence, Enrolment, StepLetter, SequenceSignal):
        assert not session.scalars(select(model)).all()


def test_old_enrolments_are_removed_except_the_last_of_each_client(
    app: Flask, sequences: Sequences, user: User, session: Session
) -> None:
    client = ClientFactory.create(owner=user)
    sequence = start(sequences, client, reenter_days=1)
    sequences.sweep(NOON + 5 * DAY)
    sequences.untag_all()
    sequences.tag("lead", client)
    for day in range(6, 13):
        sequences.sweep(NOON + day * DAY)
    assert len(session.scalars(select(Enrolment)).all()) == 2

    def sweep() -> list[str]:
        app.extensions.pop(LAST_SEARCH, None)
        with app.app_context():
            remove_enrolments(NOON + 30 * DAY, NOON + 30 * DAY, TimeBudget(5))
        session.expire_all()
        return list(session.scalars(select(Enrolment.state)))

    assert sweep() == [EnrolmentState.DONE]
    sequences.change(sequence, archive_sequence, NOON)
    assert sweep() == []
