"""Test statements that insert or update rows and are compiled only once."""

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.extensions import db
from skymailing.models import UsageHour, UsageKind, User


def test_a_statement_is_compiled_once_for_one_row_and_for_several(
    app: Flask, session: Session, user: User
) -> None:
    made: list[Insert] = []

    def make() -> Insert:
        statement = insert_into(UsageHour)
        made.append(statement)
        return statement.on_conflict_do_update(
            index_elements=["owner_id", "kind", "begins_at"],
            set_={"count": UsageHour.count + statement.excluded["count"]},
        )

    upsert, upsert_with_result = Upsert(make), Upsert(make, UsageHour.count)
    rows = [
        {"owner_id": user.id, "kind": kind, "begins_at": utcnow(), "count": number}
        for number, kind in enumerate((UsageKind.BOUNCES, UsageKind.COMPLAINTS), 1)
    ]
    with app.app_context():
        connection = db.session.connection()
        upsert.execute(connection, rows[:1])
        upsert.execute(connection, rows)
        upsert.execute(connection, rows)
        assert len(made) == 1
        assert [upsert_with_result.execute(connection, [row]).scalar() for row in rows] == [4, 6]
        assert len(made) == 2
        db.session.commit()

    assert dict(session.execute(select(UsageHour.kind, UsageHour.count)).tuples().all()) == {
        UsageKind.BOUNCES: 4,
        UsageKind.COMPLAINTS: 6,
    }
