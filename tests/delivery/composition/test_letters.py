"""Test that any valid design becomes a letter that shows each of its texts once."""

import re
from typing import Any

import pytest
from hypothesis import given, settings

from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.content import Content, check_content
from skymailing.delivery.rendering.letter import Recipient, preview
from skymailing.models import MessageFormat
from skymailing.web.colors import measure_contrast
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL
from tests.delivery.composition.designs import TYPES, Marks, designs, make_design
from tests.delivery.composition.letters import compose, read_page, render

pytestmark = pytest.mark.one_engine


@settings(max_examples=150)
@given(generated=designs())
def test_each_text_and_link_arrives_once(generated: tuple[dict[str, Any], Marks]) -> None:
    design, marks = generated

    html = compose(design)

    check_content(Content("s", MessageFormat.HTML, html, "en"))
    letter = render(html)
    page = read_page(letter.html)
    for text in (page.get_text(), letter.text):
        for word in marks.shown:
            assert len(re.findall(rf"{word}", text)) == 1
    alternatives = [picture["alt"] for picture in page.find_all("img")]
    assert all(sum(word in alt for alt in alternatives) == 1 for word in marks.pictures)
    written = {element.get(name) for element in page.find_all(True) for name in ("href", "src")}
    # A text without a word has no link, for example a product without a button.
    assert {url for url in marks.urls if "shop.example" in url} <= written
    links = [link for link in page.find_all("a") if link["href"] == EXAMPLE_UNSUBSCRIBE_URL]
    expected = sum(block["type"] in ("footer", "unsubscribe") for block in walk(design["blocks"]))
    assert len(links) == max(expected, 1)
    assert EXAMPLE_UNSUBSCRIBE_URL in letter.text


def walk(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for block in blocks:
        found.append(block)
        for column in block.get("columns", []):
            found += walk(column["blocks"])
    return found


@pytest.mark.parametrize("type_name", sorted(TYPES - {"columns"}))
def test_a_new_block_without_content_is_valid(type_name: str) -> None:
    render(compose(make_design({"type": type_name})))


def test_a_condition_surrounds_its_block() -> None:
    nameless = {"field": "name", "op": "is_empty"}
    design = make_design(
        {
            "type": "heading",
            "text": "Only in Tula",
            "visibility": {"when": {"field": "attribute.city of birth", "op": "equals", "value": "Тула's"}},
        },
        {
            "type": "heading",
            "text": "Without a name",
            "visibility": {"when": nameless},
        },
    )

    html = compose(design)

    assert '{% if client["city of birth"] == "Тула\'s" %}<tr>' in html
    assert "Only in Tula</h1></td></tr>{% endif %}" in html
    assert "{% unless name %}<tr>" in html
    letter = render(html)
    assert "Only in Tula" not in letter.html + letter.text
    assert "Without a name" not in letter.html  # the example has a name


def test_a_footer_that_some_clients_do_not_see_is_replaced_for_them() -> None:
    when = {"field": "attribute.city", "op": "is_set"}
    letter = render(compose(make_design({"type": "footer", "visibility": {"when": when}})))

    assert letter.html.count(f'href="{EXAMPLE_UNSUBSCRIBE_URL}"') == 1


def test_blocks_for_phones_are_hidden_on_computers_and_in_outlook() -> None:
    design = make_design(
        {"type": "heading", "text": "Small", "visibility": {"on": "phone"}},
        {"type": "heading", "text": "Large", "visibility": {"on": "desktop"}},
    )

    letter = render(compose(design))

    small, large = read_page(letter.html).find_all("h1")
    assert "display:none" in small.find_parent("tr")["style"].replace(" ", "")
    assert large.find_parent("tr")["class"] == ["desktop"]
    assert '<!--[if !mso]><!--><tr class="phone"' in letter.html
    assert "Small" not in letter.text
    assert re.search(r"\.phone \{ display: table-row !important", letter.html)


@pytest.mark.parametrize(
    ("fields", "has_shape"),
    [
        ({"text": "Buy"}, True),
        ({"text": "Buy", "is_full_width": True, "radius": 40}, True),
        ({"text": "Buy", "radius": 0}, False),
        ({"text": "Buy, {{ name }}"}, False),
        ({"text": "Buy " * 20}, False),
    ],
)
def test_outlook_gets_round_buttons_or_cells_with_padding(fields: dict[str, Any], has_shape: bool) -> None:
    button = {"type": "button", "url": "https://a.example", "color": "#7a2e8e"} | fields
    html = compose(make_design(button))

    link = read_page(html).find("a", href="https://a.example")
    assert html.count('href="https://a.example"') == 1  # clicks are also counted in Outlook
    shape = re.search(r'<!--\[if mso\]><v:roundrect [^>]*fillcolor="#7a2e8e" arcsize="(\d+)%"', html)
    assert bool(shape) is has_shape
    assert html.count("<v:roundrect") == html.count("</v:roundrect>")
    if shape:
        assert int(shape[1]) <= 50
        assert "background-color" not in link.parent["style"]  # it would be visible around the corners
    else:
        assert "background-color:#7a2e8e;mso-padding-alt:13px 26px" in link.parent["style"]


def test_the_brand_gives_colors_and_logo() -> None:
    design = make_design({"type": "logo"}, {"type": "button", "text": "Buy", "url": "https://a.example"})
    dark = OwnerBrand("Tea", "https://tea.example/", "#7a2e8e", "https://tea.example/logo.png")
    bright = OwnerBrand("Tea", "", "#ffe000")

    page = read_page(compose(design, dark))
    assert page.find("img")["src"] == dark.logo_url
    assert page.find("img")["alt"] == "Tea"
    assert page.find("a", string="Buy")["style"].split("background:")[1][:7] == "#7a2e8e"
    page = read_page(compose(design, bright))
    assert page.find("img") is None
    assert page.find("span", string="Tea") is not None
    button = page.find("a", string="Buy")
    color = re.findall(r"color:(#\w+)", button["style"])[-1]
    assert measure_contrast(color, "#ffe000") > 4.5


def test_braces_in_a_brand_are_text() -> None:
    brand = OwnerBrand('Tea {{ x <b> "', "https://tea.example/{{ name }}")
    letter = render(compose(make_design({"type": "logo"}), brand))
    (link, _unsubscribe) = read_page(letter.html).find_all("a")
    assert (link.get_text(), link["href"]) == ('Tea {{ x <b> "', "https://tea.example/{{ name }}")
    with_logo = OwnerBrand(brand.name, "", "", "https://tea.example/logo.png")
    assert (
        read_page(render(compose(make_design({"type": "logo"}), with_logo)).html).find("img")["alt"]
        == brand.name
    )


@pytest.mark.parametrize(
    ("op", "value", "age", "is_shown"),
    [
        ("gt", "18", "9", False),
        ("gt", "18", "20", True),
        ("lt", "18.5", "9", True),
        ("lt", "18", "", False),
        ("equals", "9", "9", True),
        ("not_equals", "9", "", True),
        ("contains", "9", "19", True),
        ("is_set", "", "0", True),
        ("is_empty", "", "", True),
    ],
)
def test_conditions_compare_the_values_of_clients(op: str, value: str, age: str, is_shown: bool) -> None:
    when = {"field": "attribute.age", "op": op, "value": value}
    html = compose(make_design({"type": "heading", "text": "Shown", "visibility": {"when": when}}))
    client = Recipient("ann@example.com", "Ann", {"age": age})
    assert ("Shown" in preview(Content("s", MessageFormat.HTML, html), client).html) == is_shown


def test_own_colors_are_kept_in_dark_mode_and_remain_readable() -> None:
    design = make_design(
        {"type": "heading", "text": "Plain"},
        {"type": "heading", "text": "Own", "style": {"background": "#123456"}},
    )

    page = read_page(compose(design))

    plain, own = (title.find_parent("td") for title in page.find_all("h1"))
    assert "t" in plain["class"]
    assert "t" not in own.get("class", [])
    color = re.findall(r"[^-]color:(#\w+)", own["style"])[0]
    assert measure_contrast(color, "#123456") > 4.5


def test_a_dark_card_gets_no_rules_for_dark_mode() -> None:
    html = compose(make_design({"type": "heading", "text": "a"}, card="#101010", background="#000000"))
    assert ".card {" not in html
    assert "color:#e8eaed" in html


def test_the_text_part_reads_well() -> None:
    design = make_design(
        {"type": "heading", "text": "News"},
        {"type": "text", "delta": {"ops": [{"insert": "One\nTwo\n", "attributes": {"list": "bullet"}}]}},
        {"type": "button", "text": "Buy", "url": "https://a.example/"},
        {"type": "product", "src": "https://a.example/1.png", "alt": "Cup", "title": "Cup", "price": "5 €"},
        {"type": "footer", "text": "Main Street 1"},
    )

    assert render(compose(design)).text == (
        "News\n\n- One\n- Two\n\nBuy (https://a.example/)\n\nCup\n\nCup\n\n5 €\n\n"
        f"Main Street 1\nUnsubscribe ({EXAMPLE_UNSUBSCRIBE_URL})\n"
    )


def test_a_letter_loads_nothing_but_its_own_pictures() -> None:
    html = compose(make_design({"type": "picture", "src": "https://a.example/1.png"}))
    assert re.findall(r"(?:src|href|url\()=?.?(https?:[^\"' )]+)", html) == ["https://a.example/1.png"]
    assert "@import" not in html
