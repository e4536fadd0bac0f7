"""What the columns of a table mean."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from liquid import Environment

from skymailing.clients.columns import NoAddressColumn, attribute_key, recognise_columns

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
def test_the_address_column_is_found_in_many_spellings(header: str) -> None:
    assert recognise_columns(["x", header]).email == 1


@pytest.mark.parametrize(
    "header", ["full_name", "Full name", "NAME", "ФИО", "Имя", "Ф.И.О.", "Фамилия и имя"]
)
def test_the_name_column_is_found_in_many_spellings(header: str) -> None:
    assert recognise_columns(["email", header]).full_name == 1


def test_a_postal_address_does_not_win_over_the_mail_address() -> None:
    columns = recognise_columns(["Адрес", "Почта", "Комментарий", "Дата рождения", "Дата  рождения", ""])
    assert (columns.email, columns.comment, columns.full_name) == (1, 2, None)
    assert columns.attributes == {0: "адрес", 3: "дата_рождения", 4: "дата_рождения_2"}


def test_a_table_without_addresses_says_what_it_has() -> None:
    with pytest.raises(NoAddressColumn) as raised:
        recognise_columns(["Город", "Телефон"])
    assert "“Город”, “Телефон”" in str(raised.value)


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
def test_a_header_becomes_a_name_for_letters(header: str, key: str) -> None:
    assert attribute_key(header) == key


@given(st.text(max_size=80))
@example("İstanbul")
@example("ﬁ")
@example("½")
@example("²")
def test_every_name_can_be_used_in_a_letter_and_stays_as_it_is(header: str) -> None:
    key = attribute_key(header)
    assert attribute_key(key) == key
    assert len(key) <= 60
    if key:
        assert LIQUID.from_string(f"{{{{ client.{key} }}}}").render(client={key: "value"}) == "value"


@given(st.lists(st.text(max_size=60), max_size=8))
def test_every_column_has_a_name_of_its_own_that_survives_an_export(headers: list[str]) -> None:
    keys = list(recognise_columns(["email", "name", "comment", *headers]).attributes.values())
    assert len(set(keys)) == len(keys)
    again = recognise_columns(["email", "full_name", "comment", *sorted(keys)])
    assert sorted(again.attributes.values()) == sorted(keys)
