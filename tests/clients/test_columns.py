"""Test the recognition of columns in an imported table."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from liquid import Environment

from skymailing.clients.columns import NoAddressColumn, attribute_key, recognize_columns
from skymailing.web.error_texts import explain

LIQUID = Environment()


@pytest.mark.parametrize(
    "header",
    [
        "email",
        "E-mail",
        "E-MAIL ",
        "e_mail",
        "Email Address",
        "mail",
        "Почта",
        "Эл. почта",
        "Адрес эл. почты",
        "Электронная почта",
        "адрес",
        "Имейл",
        "Ｅｍａｉｌ",
    ],
)
def test_many_spellings_of_the_address_column_are_recognized(header: str) -> None:
    assert recognize_columns(["x", header]).email == 1


@pytest.mark.parametrize(
    "header", ["full_name", "Full name", "NAME", "ФИО", "Имя", "Ф.И.О.", "Фамилия и имя"]
)
def test_many_spellings_of_the_name_column_are_recognized(header: str) -> None:
    assert recognize_columns(["email", header]).full_name == 1


def test_an_e_mail_column_takes_precedence_over_a_postal_address() -> None:
    columns = recognize_columns(["Адрес", "Почта", "Комментарий", "Дата рождения", "Дата  рождения", ""])
    assert (columns.email, columns.comment, columns.full_name) == (1, 2, None)
    assert columns.attributes == {0: "адрес", 3: "дата_рождения", 4: "дата_рождения_2", 5: "column_6"}


def test_the_error_for_a_table_without_addresses_lists_the_columns() -> None:
    with pytest.raises(NoAddressColumn) as raised:
        recognize_columns(["Город", "Телефон"])
    assert "“Город”, “Телефон”" in explain(raised.value)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Город", "город"),
        (" Date of birth ", "date_of_birth"),
        ("tel.", "tel"),
        ("year-1", "year_1"),
        ("2024", "column_2024"),
        ("for", "for_2"),
        ("name", "name_2"),
        ("№", "no"),
        ("!!!", ""),
    ],
)
def test_a_header_is_converted_to_an_attribute_key(header: str, key: str) -> None:
    assert attribute_key(header) == key


@given(st.text(max_size=80))
@example("İstanbul")
@example("ﬁ")
@example("½")
@example("²")
def test_every_key_works_in_liquid_and_is_stable(header: str) -> None:
    key = attribute_key(header)
    assert attribute_key(key) == key
    assert len(key) <= 60
    if key:
        assert LIQUID.from_string(f"{{{{ client.{key} }}}}").render(client={key: "value"}) == "value"


@given(st.lists(st.text(max_size=60), max_size=8))
def test_every_column_has_a_unique_key_that_survives_an_export(headers: list[str]) -> None:
    keys = list(recognize_columns(["email", "name", "comment", *headers]).attributes.values())
    assert len(set(keys)) == len(keys)
    again = recognize_columns(["email", "full_name", "comment", *sorted(keys)])
    assert sorted(again.attributes.values()) == sorted(keys)
