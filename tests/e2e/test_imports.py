"""Import files of other services in a browser: the meaning of columns, and the summary."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.clients.test_import_cases import make_csv
from tests.clients.test_recipes import CLEANED, RUSSIAN_OUTLOOK, SUBSCRIBED, UNSUBSCRIBED
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, Window
from tests.support.workbooks import DATE, write_archive, write_sheet, write_xlsx


def write_mailchimp_archive() -> bytes:
    people = [
        {
            "Email Address": f"{name}@shop.example",
            "First Name": name.title(),
            "Last Name": "Lee",
            "OPTIN_TIME": "2025-01-02 10:11:12",
            "OPTIN_IP": "192.0.2.7",
            "TAGS": '"Member","2025 waiver"',
        }
        for name in ("ann", "bob", "eve")
    ]
    return write_archive(
        {
            "subscribed_members_export_ab12.csv": make_csv(SUBSCRIBED, *people[:2]),
            "unsubscribed_members_export_ab12.csv": make_csv(UNSUBSCRIBED, people[2]),
            "cleaned_members_export_ab12.csv": make_csv(CLEANED, {"Email Address": "old@shop.example"}),
        }
    )


def write_outlook_file() -> bytes:
    contact = {
        "Имя": "Анна",
        "Отчество": "Ивановна",
        "Фамилия": "Петрова",
        "Организация": "Пекарня",
        "Адрес эл. почты": "anna@пекарня.рф",
    }
    other = {"Имя": "Пётр", "Фамилия": "Сидоров", "Адрес эл. почты": "почта@пекарня.рф"}
    return make_csv(RUSSIAN_OUTLOOK, contact, other).encode("cp1251")


def write_workbook() -> bytes:
    rows: list[list[str | int | float]] = [
        ["Кому", "Контакт", "Телефон", "Дата", "Примечание"],
        ["Анна Петрова", "anna@shop.example", 79991234567, f"{DATE}33010", "постоянный клиент"],
        ["Пётр", "no address", "", "", ""],
    ]
    return write_xlsx({"Лист1": write_sheet([["Отчёт"]]), "Клиенты": write_sheet(rows)})


@pytest.fixture(params=[("en", DESKTOP), ("ru", PHONE)], ids=["en-desktop", "ru-phone"])
def visitor(request: pytest.FixtureRequest, site: Site, open_window: OpenWindow) -> Window:
    locale, screen = request.param
    window = open_window(screen, locale)
    window.sign_in(site.add_user(locale=locale).email)
    return window


def upload(window: Window, folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(content)
    window.open("/clients/import")
    window.main.locator("input[type=file]").set_input_files(path)
    window.main.locator("form button[type=submit]").click()
    window.page.wait_for_url(re.compile(r"/clients/import/\d+$"))
    window.expect_to_fit()


def find_meaning(window: Window, header: str) -> Locator:
    row = window.main.locator("tbody tr").filter(has=window.page.get_by_text(header, exact=True))
    return row.locator("select")


def confirm(window: Window, **counts: int) -> None:
    """Import the file; check the summary's numbers."""
    window.main.locator(".form-actions button[type=submit]").click()
    window.page.wait_for_url("**/clients/imports/*")
    for name, number in counts.items():
        expect(window.main.locator(f"#{name.replace('_', '-')}")).to_have_text(str(number))
    window.expect_to_fit()


def expect_clients(window: Window, *texts: str) -> None:
    window.open("/clients/")
    expect(window.main.locator(".client-email")).to_have_count(len(texts))
    for text in texts:
        expect(window.main).to_contain_text(text)


def test_mailchimps_archive_is_imported_with_its_opt_outs(visitor: Window, tmp_path: Path) -> None:
    upload(visitor, tmp_path, "audience_export.zip", write_mailchimp_archive())
    expect(visitor.main).to_contain_text("Mailchimp")
    expect(find_meaning(visitor, "Email Address")).to_be_visible()
    rating = find_meaning(visitor, "MEMBER_RATING")
    expect(rating).not_to_be_visible()
    visitor.main.locator(".more-columns summary").click()
    expect(rating).to_have_value("skip")
    rating.select_option("attribute")
    visitor.expect_to_fit()
    confirm(visitor, created=2, rejected=0, suppressed=2)
    expect_clients(visitor, "Ann Lee", "Bob Lee")
    visitor.open("/clients/suppressions/")
    for name in ("eve", "old"):
        expect(visitor.main).to_contain_text(f"{name}@shop.example")


def test_a_russian_outlook_file_is_read_in_its_encoding(visitor: Window, tmp_path: Path) -> None:
    upload(visitor, tmp_path, "contacts.csv", write_outlook_file())
    expect(visitor.main).to_contain_text("Outlook")
    expect(find_meaning(visitor, "Адрес эл. почты")).to_have_value("email")
    confirm(visitor, created=2, rejected=0)
    expect_clients(visitor, "Анна Ивановна Петрова", "почта@пекарня.рф")


def test_the_columns_of_a_workbook_can_be_changed(visitor: Window, tmp_path: Path) -> None:
    upload(visitor, tmp_path, "clients.xlsx", write_workbook())
    expect(visitor.main).to_contain_text("Клиенты")
    expect(find_meaning(visitor, "Контакт")).to_have_value("email")
    find_meaning(visitor, "Кому").select_option("full_name")
    expect(find_meaning(visitor, "Примечание")).to_have_value("comment")
    find_meaning(visitor, "Телефон").select_option("skip")
    confirm(visitor, created=1, rejected=1)
    expect(visitor.main).to_contain_text("{{ client.дата }}")
    expect(visitor.main).not_to_contain_text("client.телефон")
    expect_clients(visitor, "Анна Петрова")
