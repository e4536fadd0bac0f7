"""Test importing client files."""

import io
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clients import imports, tasks
from skymailing.clients.explanations import explain_failure, explain_rejection
from skymailing.clients.rows import REJECTION_CODES, RowReader
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, ClientImport, ImportRejection, ImportState, User
from skymailing.web.error_texts import explain
from tests.clients.conftest import Import
from tests.conftest import SignIn
from tests.support.factories import ClientFactory, SuppressionFactory, UserFactory

DATA = Path(__file__).parent.parent / "data"


def read_clients(session: Session) -> list[tuple[str, str, str, dict[str, str]]]:
    session.expire_all()
    return [
        (client.email, client.full_name, client.comment, client.attributes)
        for client in session.scalars(select(Client).order_by(Client.email_key))
    ]


def test_russian_columns_become_client_fields_and_attributes(run: Import, session: Session) -> None:
    import_ = run(
        "Почта;ФИО;Примечание;Город;Дата рождения\nАнна@x\n anna@Пример.РФ ;Анна;VIP;Омск;17.05.1990\n"
    )
    assert (import_.state, import_.created, import_.updated, import_.rejected) == (
        ImportState.FINISHED,
        1,
        0,
        1,
    )
    assert read_clients(session) == [
        ("anna@xn--e1afmkfd.xn--p1ai", "Анна", "VIP", {"город": "Омск", "дата_рождения": "17.05.1990"})
    ]
    assert import_.content is None


def test_repeated_addresses_update_clients_and_empty_cells_erase_nothing(
    run: Import, session: Session, user: User
) -> None:
    ClientFactory.create(
        owner=user,
        email="Anna@example.com",
        full_name="Анна",
        comment="VIP",
        attributes={"city": "Омск", "age": "30"},
    )
    import_ = run(
        "email,name,comment,city,age\nANNA@example.com,,,Казань,\nb@x.com,Боб,,,\nB@X.com,,спит,,5\n"
    )
    assert (import_.created, import_.updated, import_.rejected, import_.rows_done) == (1, 2, 0, 3)
    assert read_clients(session) == [
        ("Anna@example.com", "Анна", "VIP", {"city": "Казань", "age": "30"}),
        ("b@x.com", "Боб", "спит", {"age": "5"}),
    ]


def test_an_address_repeated_in_a_later_batch_updates_the_client(run: Import, session: Session) -> None:
    rows = "".join(f"client{number}@x.com,Имя\n" for number in range(tasks.BATCH_SIZE))
    import_ = run(f"email,name\n{rows}CLIENT0@x.com,Новое имя\n")
    assert (import_.created, import_.updated) == (tasks.BATCH_SIZE, 1)
    assert session.scalar(select(Client.full_name).where(Client.email_key == "client0@x.com")) == "Новое имя"


def test_each_rejected_row_is_stored_with_its_line_and_reason(run: Import, session: Session) -> None:
    import_ = run(
        "email,name\n"
        '"two\nlines",x\n'
        "good@x.com,Good\n"
        "bad@,Bad\n"
        f"long@x.com,{'я' * 201}\n"
        "more@x.com,a,b\n"
        "short@x.com\n"
        'open@x.com,"Ann\n'
        "nul@x.com,A\0nn\n"
        "spaces@x.com,a,,\n"
    )
    rejections = session.scalars(select(ImportRejection).order_by(ImportRejection.id)).all()
    assert [(rejection.line, rejection.reason) for rejection in rejections] == [
        (2, "control_character"),
        (5, "domain"),
        (6, "name_too_long"),
        (7, "too_many_cells"),
        (9, "open_quote"),
    ]
    assert import_.rejected == len(rejections)
    assert {rejection.reason for rejection in rejections} <= set(REJECTION_CODES)
    assert rejections[1].value == "bad@,Bad"
    assert [row[:2] for row in read_clients(session)] == [
        ("good@x.com", "Good"),
        ("nul@x.com", "Ann"),
        ("short@x.com", ""),
        ("spaces@x.com", "a"),
    ]


def test_formulas_remain_text(run: Import, session: Session) -> None:
    run("email,name,comment\na@x.com,=1+1,'=2+2\n")
    assert read_clients(session)[0][1:3] == ("=1+1", "=2+2")


def test_an_import_does_not_lift_a_suppression(run: Import, user: User, sign_in: SignIn) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key="anna@x.com")
    import_ = run("email\nAnna@x.com\n")
    assert import_.created == 1
    browser = sign_in(user)
    assert "unsubscribed" in browser.get("/clients/").text


def test_each_user_has_a_separate_address_book(run: Import, session: Session, user: User) -> None:
    other = UserFactory.create()
    run("email,name\na@x.com,Mine\n")
    run("email,name\na@x.com,Theirs\n", owner=other)
    names = session.scalars(select(Client.full_name).order_by(Client.full_name)).all()
    assert names == ["Mine", "Theirs"]


def test_every_row_in_a_messy_file_is_imported_or_rejected(run: Import, session: Session) -> None:
    import_ = run((DATA / "clients-utf8.csv").read_bytes())
    assert (import_.rows_done, import_.rows_total) == (5000, 5000)
    assert (import_.created, import_.updated, import_.rejected) == (4731, 158, 111)
    assert session.scalar(select(func.count()).select_from(Client)) == 4731
    reasons = Counter(session.scalars(select(ImportRejection.reason)))
    assert sum(reasons.values()) == 111
    assert set(reasons) <= set(REJECTION_CODES)


def test_the_same_file_from_russian_excel_gives_the_same_clients(run: Import, session: Session) -> None:
    run((DATA / "clients-utf8.csv").read_bytes())
    import_ = run((DATA / "clients-excel-cp1251.csv").read_bytes())
    assert (import_.rows_done, import_.created, import_.updated, import_.rejected) == (1000, 0, 973, 27)
    client = session.scalar(select(Client).where(Client.email == "anna5@example.com"))
    assert client is not None
    assert (client.full_name, client.comment) == ("Зоя de", "многострочный\nкомментарий")
    assert (client.attributes["город"], client.attributes["city"]) == ("Омск", "Омск")


def make_table(rows: int) -> str:
    return "email\n" + "".join(f"client{number}@x.com\n" for number in range(rows))


def test_an_interrupted_import_continues_where_it_stopped(create: Import, session: Session) -> None:
    import_ = create(make_table(tasks.BATCH_SIZE + 200))
    assert tasks.run_import_slice(import_.id, should_stop=lambda elapsed: True)
    db.session.remove()
    session.refresh(import_)
    assert (import_.state, import_.rows_done, import_.created) == (
        ImportState.RUNNING,
        tasks.BATCH_SIZE,
        tasks.BATCH_SIZE,
    )
    assert tasks.run_import_slice(import_.id) is False
    db.session.remove()
    session.refresh(import_)
    assert (import_.state, import_.rows_done, import_.created, import_.updated) == (
        ImportState.FINISHED,
        tasks.BATCH_SIZE + 200,
        tasks.BATCH_SIZE + 200,
        0,
    )


def test_an_import_with_a_live_lease_is_not_taken_over(create: Import, session: Session) -> None:
    import_ = create(make_table(3))
    session.execute(
        update(ClientImport).values(lease_until=utcnow() + timedelta(seconds=30), state="running")
    )
    assert tasks.run_import_slice(import_.id) is False
    session.refresh(import_)
    assert import_.rows_done == 0
    assert imports.find_stalled_imports(utcnow()) == []
    db.session.rollback()


def test_a_worker_that_lost_its_lease_writes_nothing(create: Import, session: Session) -> None:
    import_ = create(make_table(1200))
    # The lease expires before the first batch is recorded, and another worker acquires it.
    lease = tasks.acquire_lease(import_.id, utcnow() - timedelta(hours=1))
    assert lease is not None
    assert tasks.acquire_lease(import_.id, utcnow()) is not None
    columns, records = imports.open_table(io.BytesIO(make_table(1200).encode()))
    batch = next(tasks.read_batches(records, RowReader(columns)))
    with pytest.raises(tasks.LeaseLost):
        tasks.import_batch(tasks.find_target(import_.id), lease, batch)
    db.session.rollback()
    assert session.scalar(select(func.count()).select_from(Client)) == 0


def test_the_sweep_resumes_imports_after_dead_workers_and_lost_hints(
    app: Flask, create: Import, session: Session, work: Callable[[], None]
) -> None:
    dead, lost = create(make_table(3)), create("email\nother@x.com\n")
    session.execute(update(ClientImport).values(updated_at=utcnow() - timedelta(minutes=1)))
    session.execute(
        update(ClientImport)
        .where(ClientImport.id == dead.id)
        .values(state="running", lease_until=utcnow() - timedelta(seconds=1))
    )
    assert imports.find_stalled_imports(utcnow()) == [dead.id, lost.id]
    db.session.rollback()
    with app.app_context():
        jobs.run_sweep(utcnow())
    work()
    session.refresh(dead)
    session.refresh(lost)
    assert (dead.state, lost.state) == (ImportState.FINISHED, ImportState.FINISHED)


def test_too_many_rows_are_rejected_before_the_first_is_imported(
    create: Import, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MAX_ROWS", 2)
    import_ = create(make_table(3))
    tasks.run_import_slice(import_.id)
    session.refresh(import_)
    assert import_.state == ImportState.FAILED
    assert "Split it" in explain_failure(import_.error)
    assert session.scalar(select(func.count()).select_from(Client)) == 0


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("city,age\nОмск,5\n", "“city”"),
        (",".join(["email", *"a" * 100]) + "\na@x.com" + ",b" * 100, "100 columns"),
    ],
)
def test_an_unusable_file_is_rejected_with_the_reason(user: User, content: str, expected: str) -> None:
    with pytest.raises(UserError) as raised:
        imports.inspect_table(io.BytesIO(content.encode()))
    assert expected in explain(raised.value)


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_is_recognized_and_rejected(create: Import, start: bytes) -> None:
    with pytest.raises(imports.UnusableFile) as raised:
        create(start + bytes(range(256)))
    assert "workbook" in explain(raised.value)


def test_every_rejection_has_an_explanation() -> None:
    assert all(explain_rejection(reason) != reason for reason in REJECTION_CODES)


def test_a_failure_that_an_older_version_stored_as_text_is_shown_unchanged() -> None:
    assert explain_failure("Файл пуст.") == "Файл пуст."
