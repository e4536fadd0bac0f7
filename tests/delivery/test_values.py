"""Test that letters read numbers, dates and yes/no values as the owner writes them."""

import csv
from pathlib import Path

import pytest

from skymailing.delivery.rendering.letter import Content, Recipient, preview
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.models import AttributeType, MessageFormat

LETTERS = Path(__file__).parent.parent / "data" / "letters"
TYPES = {
    "age": AttributeType.NUMBER,
    "bonus": AttributeType.NUMBER,
    "bday": AttributeType.DATE,
    "until": AttributeType.DATE,
    "vip": AttributeType.YES_NO,
}
TYPED = ValueFormats(TYPES)
AMERICAN = ValueFormats(TYPES, is_day_first=False)
RUSSIAN = ValueFormats(TYPES, has_decimal_comma=True)
UNTYPED = ValueFormats()


def write(body: str, formats: ValueFormats = UNTYPED, **attributes: str) -> str:
    content = Content("s", MessageFormat.TEXT, body + "|{{ unsubscribe_url }}")
    return preview(content, Recipient("a@b.example", "Ann", attributes), formats=formats).text.partition("|")[
        0
    ]


def write_for_file(name: str, formats: ValueFormats) -> dict[str, str]:
    body = (LETTERS / f"{name}.txt").read_text().strip()
    with (LETTERS / f"{name.removesuffix('-fails-for-clients-with-the-value')}-clients.csv").open() as file:
        rows = list(csv.DictReader(file))
    written = {}
    for row in rows:
        attributes = {key: value for key, value in row.items() if key not in ("email", "name")}
        written[row["name"]] = write(body, formats, **attributes)
    return written


@pytest.mark.parametrize("formats", [UNTYPED, TYPED, AMERICAN])
def test_conditions_on_a_number_handle_clients_without_it(formats: ValueFormats) -> None:
    written = write_for_file("number-compare-fails-for-clients-with-the-value", formats)

    assert written == {"With": "Adult", "Without": "Child"}


@pytest.mark.parametrize("formats", [UNTYPED, TYPED, AMERICAN])
def test_day_and_month_with_dots_are_never_swapped(formats: ValueFormats) -> None:
    assert write_for_file("date-day-and-month-swapped", formats) == {"May": "06.05", "Dec": "31.12"}


@pytest.mark.parametrize(
    ("text", "european", "american"),
    [
        ("06/05/1980", "06.05.1980", "05.06.1980"),
        ("6/5/80", "06.05.1980", "05.06.1980"),
        ("6-5-2001", "06.05.2001", "05.06.2001"),
        ("25/05/1980", "25.05.1980", "25.05.1980"),
        ("05/25/1980", "25.05.1980", "25.05.1980"),
        ("1980-05-06", "06.05.1980", "06.05.1980"),
        ("1980-05-06T10:30:00Z", "06.05.1980", "06.05.1980"),
        ("2026/5/6", "06.05.2026", "06.05.2026"),
        ("6.5.2026 10:30", "06.05.2026", "06.05.2026"),
        ("6 мая 1980 г.", "06.05.1980", "06.05.1980"),
        ("May 6, 1980", "06.05.1980", "06.05.1980"),
        ("31.02.1980", "31.02.1980", "31.02.1980"),
        ("soon", "soon", "soon"),
    ],
)
def test_a_date_is_read_as_its_country_writes_it(text: str, european: str, american: str) -> None:
    body = "{{ client.bday | date: '%d.%m.%Y' }}"

    for formats in (UNTYPED, TYPED):
        assert write(body, formats, bday=text) == european
    assert write(body, AMERICAN, bday=text) == american
    assert (
        write("{{ client.bday }} {% if true %}{{ client.bday }}{% endif %}", TYPED, bday=text)
        == f"{text} {text}"
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12,50", 12.5),
        ("12.50", 12.5),
        ("1 200", 1200),
        ("1\u00a0200,5", 1200.5),
        ("1\u202f200", 1200),
        ("1,200.50", 1200.5),
        ("1.200,50", 1200.5),
        ("1.200.000", 1200000),
        ("1,200,000", 1200000),
        ("$12.50", 12.5),
        ("€ 12,50", 12.5),
        ("1 200 ₽", 1200),
        ("1 200,00 руб.", 1200.0),
        ("12 USD", 12),
        ("5%", 5),
        ("-5", -5),
        ("−5,5", -5.5),
        ("007", 7),
        ("1,200", 1200),
        ("1'200", 1200),
        ("12-50", None),
        ("сорок", None),
        ("1 20", None),
        ("1e5", None),
        ("9" * 40, None),
        ("", None),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, number: float | None) -> None:
    assert UNTYPED.parse_number(text) == number
    if number is not None:
        assert write("{{ client.age | plus: 1 }}", age=text) == str(number + 1)
        assert write("{% if client.age == " + str(number) + " %}y{% endif %}", TYPED, age=text) == "y"
        assert write("{{ client.age }}", TYPED, age=text) == text


def test_a_comma_with_three_digits_depends_on_the_owner() -> None:
    assert UNTYPED.parse_number("1,200") == 1200
    assert RUSSIAN.parse_number("1,200") == 1.2
    assert RUSSIAN.parse_number("1,200,000") == 1200000
    assert write("{{ client.age | times: 10 }}", RUSSIAN, age="1,200") == "12.0"


@pytest.mark.parametrize(
    ("condition", "attributes", "holds"),
    [
        ("client.age > 5", {"age": "40"}, True),
        ("client.age > 5", {"age": "4"}, False),
        ("client.age > 5", {}, False),
        ("client.age > 5", {"age": "сорок"}, False),
        ("client.age < 5", {}, False),
        ("client.age <= 5", {"age": "5,0"}, True),
        ("client.age >= 5", {"age": "5"}, True),
        ("client.age == 5", {"age": "5"}, True),
        ("client.age == '5'", {"age": "5"}, True),
        ("client.age != 5", {"age": "6"}, True),
        ("client.age > '5'", {"age": "40"}, True),
        ("client.age > client.bonus", {"age": "1 000", "bonus": "200"}, True),
        ("client.age > client.bonus", {"age": "1 000"}, False),
        ("client.until > client.bday", {"until": "01.02.2026", "bday": "31.12.1980"}, True),
        ("client.until > '2026-01-31'", {"until": "01.02.2026"}, True),
        ("client.until < today", {"until": "01.02.2006"}, True),
        ("client.until == '2026-02-01'", {"until": "01.02.2026"}, True),
        ("client.vip", {"vip": "да"}, True),
        ("client.vip", {"vip": "Нет"}, False),
        ("client.vip", {"vip": "0"}, False),
        ("client.vip", {"vip": "gold"}, True),
        ("client.vip", {}, False),
        ("client.vip == true", {"vip": "yes"}, True),
        ("client.vip == 'yes'", {"vip": "yes"}, True),
        ("client.vip == 'нет'", {"vip": "нет"}, True),
        ("name > 5", {}, False),
        ("client.city > 'A'", {"city": "Rome"}, True),
        ("true == 1", {}, False),
    ],
)
def test_conditions_compare_the_meaning_of_values(
    condition: str, attributes: dict[str, str], holds: bool
) -> None:
    assert write(f"{{% if {condition} %}}y{{% endif %}}", TYPED, **attributes) == ("y" if holds else "")


def test_filters_and_cases_understand_numbers() -> None:
    assert write("{{ client.age | times: client.bonus }}", age="1 200", bonus="2") == "2400"
    assert write("{% case client.age %}{% when 5 %}five{% else %}other{% endcase %}", age="5") == "five"
    assert write("{{ client.vip }}", TYPED, vip="нет") == "нет"
    assert write("{% if client.vip %}{{ client.vip }}{% endif %}", TYPED, vip="да") == "да"


@pytest.mark.parametrize(
    ("order", "zone", "is_day_first"),
    [
        ("", "Europe/Moscow", True),
        ("", "America/New_York", False),
        ("dmy", "America/New_York", True),
        ("mdy", "UTC", False),
    ],
)
def test_the_order_of_dates_follows_the_owners_country(order: str, zone: str, is_day_first: bool) -> None:
    formats = ValueFormats.read({"a": "number", "b": "of a later version"}, order, "ru", zone)

    assert formats.is_day_first is is_day_first
    assert formats.types == {"a": AttributeType.NUMBER}
    assert formats.has_decimal_comma
