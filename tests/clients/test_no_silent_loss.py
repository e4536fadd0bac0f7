"""Test with random tables in random encodings that every person in a file is accounted for."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skymailing.clients import imports, tasks
from skymailing.extensions import db
from skymailing.models import Client, ClientImport, ImportRejection, ImportState, Suppression, User

NAMES = {
    "utf-8": ["Анна Петрова", "Jörg Müller", "Łukasz Wójcik", 'O"Neil, Ann', "李雷", "two\nlines"],
    "utf-16": ["Анна Петрова", "Zoë Ångström", "Łukasz"],
    "cp1251": ["Анна Петрова", "ИВАНОВ ПЁТР", "Илья; Муромец"],
    "cp866": ["Анна Петрова", "Пётр Сидоров"],
    "koi8-r": ["Анна Петрова", "Сергей Иванов"],
    "cp1252": ["Jörg Müller", "François Lefèvre", "Søren Kjær"],
    "cp1250": ["Michał Dąbrowski", "Jiří Černý", "Győző Szőke"],
}
STATUSES = ["active", "unsubscribed", "bounced", "pending", ""]
ROW = st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 5), st.sampled_from(STATUSES))


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Return a file, and the address, name and status of each of its rows."""
    encoding = draw(st.sampled_from(sorted(NAMES)))
    drawn = draw(st.lists(ROW, min_size=1, max_size=12))
    rows = []
    for number, is_valid, name, status in drawn:
        address = f"c{number}@example.org" if is_valid else f"broken{number}"
        rows.append((address, NAMES[encoding][name % len(NAMES[encoding])], status))
    order = draw(st.permutations(range(3)))
    output = io.StringIO()
    writer = csv.writer(
        output,
        delimiter=draw(st.sampled_from([",", ";", "\t"])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    for cells in [("email", "name", "status"), *rows]:
        writer.writerow([cells[i] for i in order])
    return output.getvalue().encode(encoding), rows


@pytest.mark.usefixtures("context")
@settings(max_examples=60)
@given(table=tables())
def test_every_row_becomes_a_client_a_suppression_or_a_report(
    session: Session, user: User, table: tuple[bytes, list[tuple[str, str, str]]]
) -> None:
    content, rows = table
    for model in (Client, Suppression, ImportRejection):
        db.session.execute(delete(model))
    db.session.commit()
    import_ = imports.create_import(user.id, "x.csv", imports.inspect_table(io.BytesIO(content)), content)
    import_id = import_.id
    db.session.commit()
    tasks.run_import_slice(import_id)

    done = db.session.get_one(ClientImport, import_id, populate_existing=True)
    assert done.state is ImportState.FINISHED
    results = (done.created, done.updated, done.rejected, done.suppressed, done.left_out)
    assert sum(results) == done.rows_done == len(rows)
    mailable = {
        address: name for address, name, status in rows if status in ("active", "") and "@" in address
    }
    stopped = {row[0] for row in rows if row[2] in ("unsubscribed", "bounced") and "@" in row[0]}
    clients = {client.email: client.full_name for client in db.session.scalars(select(Client))}
    assert clients == {address: " ".join(name.split()) for address, name in mailable.items()}
    assert set(db.session.scalars(select(Suppression.email_key))) == stopped
    broken = [row for row in rows if "@" not in row[0] and row[2] != "pending"]
    assert done.rejected == len(broken)
    db.session.rollback()
