"""Test the `flask clients` commands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import (
    Client,
    ClientImport,
    ImportState,
    Suppression,
    SuppressionReason,
    Tag,
    User,
    client_tags,
)
from tests.support.factories import ClientFactory

# Arguments and output do not depend on the database.
pytestmark = pytest.mark.one_engine

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask, session: Session) -> Run:
    def invoke(*arguments: object) -> Result:
        return app.test_cli_runner().invoke(args=["clients", *map(str, arguments)])

    return invoke


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "клиенты.csv"
    path.write_bytes("Почта;ФИО\nanna@x.com;Анна\nbad;Боб\nANNA@x.com;Анна П\n".encode("cp1251"))
    return path


@pytest.mark.both_engines
def test_import_prints_counts_and_every_rejected_line(
    run: Run, table: Path, user: User, session: Session
) -> None:
    result = run("import", table, "--owner", user.email.upper())
    assert result.exit_code == 0, result.output
    assert "line 3: An email address has an @ sign" in result.output
    assert result.output.splitlines()[-1] == "rows 3, new 1, updated 1, rejected 1"
    assert session.scalars(select(Client.full_name)).all() == ["Анна П"]
    import_ = session.scalar(select(ClientImport))
    assert import_ is not None
    assert (import_.state, import_.content) == (ImportState.FINISHED, None)


def test_importing_a_file_without_addresses_fails(run: Run, tmp_path: Path, user: User) -> None:
    path = tmp_path / "cities.csv"
    path.write_text("city\nОмск\n")
    result = run("import", path, "--owner", user.email)
    assert result.exit_code == 1
    assert "“city”" in result.output


def test_an_unknown_owner_is_an_error(run: Run, table: Path) -> None:
    result = run("import", table, "--owner", "no-one@x.com")
    assert result.exit_code == 1
    assert "no-one@x.com" in result.output
    assert run("export", "--owner", "no-one@x.com").exit_code == 1


def test_a_missing_file_is_an_error(run: Run, user: User) -> None:
    assert run("import", "/nowhere.csv", "--owner", user.email).exit_code != 0


@pytest.mark.both_engines
def test_an_export_can_be_imported(run: Run, tmp_path: Path, user: User, session: Session) -> None:
    ClientFactory.create(owner=user, email="anna@x.com", full_name="=Анна", attributes={"город": "Омск"})
    result = run("export", "--owner", user.email)
    assert result.exit_code == 0
    assert result.stdout_bytes.decode() == (
        '"email","full_name","comment","tags","timezone","город"\r\n"anna@x.com","\'=Анна","","","","Омск"\r\n'
    )
    path = tmp_path / "export.csv"
    path.write_bytes(result.stdout_bytes)
    assert run("import", path, "--owner", user.email).output == "rows 1, new 0, updated 1, rejected 0\n"


def test_the_encoding_the_columns_and_a_tag_can_be_given(
    run: Run, tmp_path: Path, user: User, session: Session
) -> None:
    path = tmp_path / "clients.csv"
    path.write_bytes("Who;Where to;City\nилья;a@x.com;Омск\n".encode("koi8-r"))
    options = ("--map", "Who=full_name", "--map", "where to=email", "--map", "City=town", "--tag", "vip, new")
    result = run("import", path, "--owner", user.email, "--encoding", "KOI8-R", *options)
    assert result.exit_code == 0, result.output
    client = session.scalars(select(Client)).one()
    assert (client.full_name, client.attributes) == ("илья", {"town": "Омск"})
    tags = session.execute(select(Tag.name, client_tags.c.client_id).join(client_tags)).tuples().all()
    assert set(tags) == {("vip", client.id), ("new", client.id)}
    result = run("import", path, "--owner", user.email, "--tag", "x" * 101)
    assert (result.exit_code, "up to 100 characters" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--map", "Country=town"), "no column “Country”"),
        (("--map", "ФИО"), "COLUMN=FIELD"),
        (("--map", "ФИО=!"), "cannot be the name"),
        (("--encoding", "klingon"), "Unknown encoding"),
    ],
)
def test_invalid_options_are_explained(
    run: Run, table: Path, user: User, options: tuple[str, str], expected: str
) -> None:
    result = run("import", table, "--owner", user.email, *options)
    assert result.exit_code == 1
    assert expected in result.output


@pytest.mark.both_engines
def test_a_file_of_addresses_can_be_suppressed(run: Run, table: Path, user: User, session: Session) -> None:
    result = run("import", table, "--owner", user.email, "--suppress")
    assert result.output.splitlines()[-1] == "rows 3, new 0, updated 0, rejected 1, suppressed 2"
    assert session.scalars(select(Client)).all() == []
    suppression = session.scalars(select(Suppression)).one()
    assert (suppression.email_key, suppression.reason) == ("anna@x.com", SuppressionReason.MANUAL)


def test_choosing_a_column_does_not_make_opt_outs_mailable(
    run: Run, tmp_path: Path, user: User, session: Session
) -> None:
    path = tmp_path / "unsubscribed.csv"
    path.write_text("Email Address,First Name,UNSUB_TIME\na@x.com,Anna,2021-05-06\n")
    result = run("import", path, "--owner", user.email, "--map", "First Name=full_name")
    assert "suppressed 1" in result.output
    assert session.scalars(select(Client)).all() == []
