"""Imports of files through the API."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, ClientImport, Suppression, User
from tests.api.conftest import Program
from tests.conftest import SetLimits
from tests.support.workbooks import write_sheet, write_xlsx

CSV = "email,name,City\na@example.org,Анна,Омск\nwrong,Bo,Tula\n".encode()


def send(program: Program, query: str = "", data: bytes = CSV, **options: Any) -> Any:
    return program.post(f"/imports{query}", data=data, **{"content_type": "text/csv"} | options)


def test_a_file_is_imported_and_its_rejected_rows_are_listed(
    program: Program, session: Session, work: Callable[[], None]
) -> None:
    response = send(program, "?filename=shop.csv&tag=new&consent=In+our+shop")
    assert response.status_code == 202, response.text
    path = response.headers["Location"].removeprefix("/api/v1")
    assert (response.json["state"], response.json["filename"]) == ("pending", "shop.csv")
    assert response.json["columns"] == {"email": "email", "name": "full_name", "City": "attribute"}
    work()
    done = program.read(path)
    assert (done["state"], done["created"], done["rejected"], done["rows_total"]) == ("finished", 1, 1, 2)
    (rejected,) = program.read_all(f"{path}/rejections")
    assert (rejected["line"], rejected["code"], rejected["cells"]) == (
        *(3, "address_no_at_sign", ["wrong", "Bo", "Tula"]),
    )
    (client,) = program.read("/clients")["data"]
    assert (client["full_name"], client["tags"], client["attributes"]) == ("Анна", ["new"], {"city": "Омск"})
    assert program.read_all("/imports") == [done]


def test_the_meaning_of_columns_can_be_chosen(
    program: Program, session: Session, work: Callable[[], None]
) -> None:
    data = "адрес;a;b\nx@example.org;Анна;Омск\n".encode("cp1251")
    query = "?encoding=windows-1251&column=a%3Dfull_name&column=b%3Dtown"
    assert send(program, query, data).status_code == 202
    work()
    (client,) = program.read("/clients")["data"]
    assert (client["full_name"], client["attributes"]) == ("Анна", {"town": "Омск"})


def test_a_workbook_is_sent_as_a_form(program: Program, session: Session, work: Callable[[], None]) -> None:
    book = write_xlsx({"Clients": write_sheet([["email"], ["a@example.org"]])})
    form = {"file": (io.BytesIO(book), "clients.xlsx")}
    response = send(program, data=form, content_type="multipart/form-data")  # type: ignore[arg-type]
    assert response.status_code == 202, response.text
    assert response.json["filename"] == "clients.xlsx"
    work()
    assert session.scalars(select(Client.email)).all() == ["a@example.org"]


def test_addresses_are_suppressed(program: Program, session: Session, work: Callable[[], None]) -> None:
    send(program, "?suppress=true", b"email\na@example.org\n")
    work()
    assert session.scalars(select(Suppression.email_key)).all() == ["a@example.org"]
    assert session.scalars(select(Client)).all() == []


@pytest.mark.parametrize(
    ("query", "data", "places", "code"),
    [
        ("", b"name\nAnna\n", [], "import_no_address_column"),
        ("", b"", [], "import_empty"),
        ("?column=x%3Dname", CSV, [], "import_unknown_column"),
        ("?column=name", CSV, ["column"], "import_unknown_field"),
        ("?encoding=klingon", CSV, ["encoding"], "import_unknown_encoding"),
        ("?owner_id=1", CSV, ["owner_id"], "invalid"),
        ("?suppress=maybe", CSV, ["suppress"], "invalid"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(
    program: Program, session: Session, query: str, data: bytes, places: list[str], code: str
) -> None:
    refusal = program.refuse("POST", f"/imports{query}", data=data, content_type="text/csv")
    assert refusal == (422, code, places)
    assert session.scalars(select(ClientImport)).all() == []


def test_only_files_are_accepted(program: Program) -> None:
    assert program.refuse("POST", "/imports", {"clients": []})[:2] == (415, "not_a_file")


def test_a_repeated_request_imports_once(program: Program, session: Session, user: User) -> None:
    headers = {"Idempotency-Key": "import-1"}
    first, second = send(program, headers=headers), send(program, headers=headers)
    assert (first.status_code, second.json) == (202, first.json)
    assert len(session.scalars(select(ClientImport)).all()) == 1


def test_imports_have_limits(program: Program, set_limits: SetLimits) -> None:
    set_limits(imports_per_day=1)
    assert send(program).status_code == 202
    refusal = program.refuse("POST", "/imports", data=CSV, content_type="text/csv")
    assert refusal[:2] == (409, "import_limit")
