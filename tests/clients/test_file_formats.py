"""Test importing workbooks, archives, vCards and HTML tables."""

import contextlib
import io
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.files import workbook_program, workbooks
from skymailing.clients.files.opening import open_file
from skymailing.errors import UserError
from skymailing.models import Client, ClientImport
from skymailing.web.error_texts import explain
from skymailing.web.host_turns import take_host_turn
from tests.clients.test_import_cases import CASES, count, make_csv, read_people, read_suppressions
from tests.clients.test_recipes import CLEANED, MAILCHIMP, SUBSCRIBED, UNSUBSCRIBED
from tests.support.imports import import_file, upload
from tests.support.workbooks import DATE, Cell, write_archive, write_ods, write_sheet, write_xlsx

# Files are read in Python; `test_imports` writes to both databases.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
ROWS: list[list[Cell]] = [
    ["E-mail", "ФИО", "Phone", "Born", "Score", "Empty"],
    ["anna@example.org", "Анна", 79991234567, f"{DATE}33010", 2.5, ""],
]
VCARDS = """BEGIN:VCARD
VERSION:3.0
N:Doe;Jane;Quinn;Dr.;Jr.
FN:Dr. Jane Q. Doe Jr.
EMAIL;TYPE=INTERNET:old@example.com
item1.EMAIL;TYPE=INTERNET,HOME,PREF:jane@example.com
item1.X-ABLabel:Personal
BDAY:--03-15
CATEGORIES:Suppliers,VIP
NOTE:Met at\\nthe fair\\, twice;
  called
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=9F=D0=B5=D1=82=D1=80=D0=BE=D0=B2=D0=B0;=
=D0=90=D0=BD=D0=BD=D0=B0;;;
EMAIL;HOME;PREF:anna@example.com
TEL;CELL:+7 999
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Bob
EMAIL;PREF=1:bob@example.com
TEL;VALUE=uri:tel:+44-20-1234
END:VCARD
"""


def import_and_read(
    browser: FlaskClient, work: Work, session: Session, content: bytes, name: str
) -> ClientImport:
    response = import_file(browser, content, name)
    assert response.status_code == 302, response.text
    work()
    session.expire_all()
    return session.scalars(select(ClientImport).order_by(ClientImport.id.desc())).all()[0]


def convert(content: bytes) -> bytes:
    with open_file(io.BytesIO(content)) as opened:
        return opened.file.read()


def test_an_xlsx_file_is_imported_from_the_first_sheet_with_addresses(
    browser: FlaskClient, work: Work, session: Session
) -> None:
    content = write_xlsx({"Notes": write_sheet([["Nothing here"]]), "People": write_sheet(ROWS)})
    page = browser.get(str(upload(browser, content, "clients.xlsx").location)).text
    assert "People" in page
    import_and_read(browser, work, session, content, "clients.xlsx")
    values = {"phone": "79991234567", "born": "1990-05-17", "score": "2.5"}
    assert read_people(session) == [("anna@example.org", "Анна", values)]


def test_an_ods_file_is_imported(browser: FlaskClient, work: Work, session: Session) -> None:
    content = write_ods([["email", "name"], ["anna@example.org", "Анна"]])
    import_and_read(browser, work, session, content, "clients.ods")
    assert read_people(session) == [("anna@example.org", "Анна", {})]


def test_an_xls_file_is_imported(browser: FlaskClient, work: Work, session: Session) -> None:
    content = (CASES / "workbook-excel-97.xls").read_bytes()
    import_and_read(browser, work, session, content, "clients.xls")
    values = {"телефон": "79991234567", "дата_рождения": "1990-05-17"}
    assert read_people(session) == [("anna@example.org", "Анна Петрова", values)]


def test_an_html_table_named_xls_is_imported(browser: FlaskClient, work: Work, session: Session) -> None:
    content = (CASES / "html-table-named-xls.xls").read_bytes()
    import_and_read(browser, work, session, content, "clients.xls")
    assert read_people(session) == [("person@example.org", "", {})]


def test_html_and_excel_2003_tables_are_read() -> None:
    html = "<table><tr><th>email<th>name<tr><td>a@x.com<td>A&amp;B</table>"
    xml = (
        '<?xml version="1.0"?><Workbook xmlns:ss="urn:s"><Worksheet><Table>'
        '<Row><Cell><Data>email</Data></Cell><Cell ss:Index="3"><Data>name</Data></Cell></Row>'
        "<Row><Cell><Data>a@x.com</Data></Cell></Row></Table></Worksheet></Workbook>"
    )
    assert convert(html.encode()) == b"email,name\r\na@x.com,A&B\r\n"
    assert convert(xml.encode()) == b"email,,name\r\na@x.com\r\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_vcards_of_all_versions_are_imported(
    browser: FlaskClient, work: Work, session: Session, line_end: str
) -> None:
    content = VCARDS.replace("\n", line_end).encode()
    assert count(import_and_read(browser, work, session, content, "contacts.vcf")) == {"created": 3}
    jane = {
        "first_name": "Jane",
        "middle_name": "Quinn",
        "last_name": "Doe",
        "tags": "Suppliers, VIP",
        "email_2": "old@example.com",
        "birthday": "--03-15",
    }
    assert read_people(session) == [
        (
            "anna@example.com",
            "Анна Петрова",
            {"first_name": "Анна", "last_name": "Петрова", "phone": "+7 999"},
        ),
        ("bob@example.com", "Bob", {"phone": "+44-20-1234"}),
        ("jane@example.com", "Dr. Jane Q. Doe Jr.", jane),
    ]
    comments = session.scalars(select(Client.comment).where(Client.email == "jane@example.com")).all()
    assert comments == ["Met at\nthe fair, twice; called"]


@pytest.mark.both_engines
def test_mailchimps_archive_is_imported_with_the_state_of_each_file(
    browser: FlaskClient, work: Work, session: Session
) -> None:
    def table(headers: str, name: str) -> str:
        return make_csv(headers, {"Email Address": f"{name}@example.org", "First Name": name.title()})

    content = write_archive(
        {
            "subscribed_members_export_ab12.csv": table(SUBSCRIBED, "in"),
            "unsubscribed_members_export_ab12.csv": table(UNSUBSCRIBED, "out"),
            "cleaned_members_export_ab12.csv": table(CLEANED, "bounced"),
            "nonsubscribed_members_export_ab12.csv": table(f"{MAILCHIMP}NOTES,TAGS", "buyer"),
            "__MACOSX/._subscribed_members_export_ab12.csv": "x",
        }
    )
    page = browser.get(str(upload(browser, content, "audience.zip").location)).text
    assert "Status, from the file name" in page
    assert "file_status" not in page
    import_ = import_and_read(browser, work, session, content, "audience.zip")
    assert count(import_) == {"created": 1, "suppressed": 2, "left_out": 1}
    assert read_people(session) == [("in@example.org", "In", {"first_name": "In"})]
    assert read_suppressions(session) == {"out@example.org": "unsubscribed", "bounced@example.org": "bounced"}


def test_one_of_mailchimps_files_is_recognized_by_its_name(
    browser: FlaskClient, work: Work, session: Session
) -> None:
    content = make_csv(f"{MAILCHIMP}NOTES,TAGS", {"Email Address": "buyer@example.org"}).encode()
    import_ = import_and_read(browser, work, session, content, "nonsubscribed_members_export_1.csv")
    assert count(import_) == {"left_out": 1}


def upload_rejected(content: bytes) -> str:
    with pytest.raises(UserError) as raised:
        convert(content)
    return explain(raised.value)


@pytest.mark.usefixtures("context")
def test_a_small_file_that_needs_a_terabyte_is_rejected() -> None:
    content = write_xlsx({"Bomb": write_sheet([["email"], ["a@x.com"]], last="XFD1048576")})
    assert len(content) < 3000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "too much memory" in upload_rejected(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024, "kilobytes"


def test_workbooks_of_all_users_are_read_one_at_a_time(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take up 1 GB, so one user's upload waits for another user's."""
    content = write_xlsx({"People": write_sheet(ROWS)})
    held = contextlib.ExitStack()
    with app.app_context():
        held.enter_context(take_host_turn("reading-workbook", 0, UserError("import_workbooks_busy")))
    monkeypatch.setattr(workbooks, "WAIT", 0.1)
    assert "Other workbooks are being read" in upload(browser, content, "clients.xlsx").text
    assert upload(browser, b"email\nanna@example.org\n").status_code == 302, "CSV does not wait"
    monkeypatch.setattr(workbooks, "WAIT", 10)
    threading.Timer(0.3, held.close).start()
    assert upload(browser, content, "clients.xlsx").status_code == 302, "it waits for its turn"


@pytest.mark.usefixtures("context")
def test_an_unusable_archive_is_rejected_with_the_reason() -> None:
    assert "too much memory" in upload_rejected(write_archive({"xl/workbook.xml": b"0" * (50 << 20)}))
    assert "too much memory" in upload_rejected(write_archive({"a.csv": b"0" * (50 << 20)}))
    assert "contains no CSV file" in upload_rejected(write_archive({"readme.md": "x"}))
    damaged = bytearray(write_archive({"a.csv": "email\n" + "anna@example.org\n" * 500}))
    damaged[40:60] = bytes(byte ^ 0xFF for byte in damaged[40:60])
    assert "cannot be read" in upload_rejected(bytes(damaged))
    assert "cannot be read" in upload_rejected(b"PK\x03\x04" + bytes(range(256)))
    assert "cannot be read" in upload_rejected(b"\xd0\xcf\x11\xe0" + bytes(range(256)))


def test_the_conversion_program_imports_none_of_our_modules(tmp_path: Path) -> None:
    path = tmp_path / "clients.xlsx"
    path.write_bytes(write_xlsx({"A": write_sheet(ROWS)}))
    program = str(workbook_program.__file__)
    done = subprocess.run([sys.executable, "-I", program, str(path)], capture_output=True, check=True, env={})
    assert done.stderr == b"A"
    assert "anna@example.org,Анна,79991234567,1990-05-17,2.5\r\n" in done.stdout.decode()
