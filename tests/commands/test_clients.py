"""Test the `flask clients` commands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, ClientImport, ImportState, User
from tests.support.factories import ClientFactory

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


def test_import_prints_counts_and_every_rejected_line(
    run: Run, table: Path, user: User, session: Session
) -> None:
    result = run("import", table, "--owner", user.email.upper())
    assert result.exit_code == 0, result.output
    assert "line 3: An e-mail address has an @ sign" in result.output
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


def test_an_export_can_be_imported(run: Run, tmp_path: Path, user: User, session: Session) -> None:
    ClientFactory.create(owner=user, email="anna@x.com", full_name="=Анна", attributes={"город": "Омск"})
    result = run("export", "--owner", user.email)
    assert result.exit_code == 0
    assert result.stdout_bytes.decode() == (
        '"email","full_name","comment","город"\r\n"anna@x.com","\'=Анна","","Омск"\r\n'
    )
    path = tmp_path / "export.csv"
    path.write_bytes(result.stdout_bytes)
    assert run("import", path, "--owner", user.email).output == "rows 1, new 0, updated 1, rejected 0\n"
