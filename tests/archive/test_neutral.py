"""Test that published letters contain no client's data, and still read well."""

import time
from datetime import UTC, datetime

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from skymailing.archive.neutral import Neutral, render_neutral
from skymailing.archive.tidying import ADDRESS, GONE, LINK, MARKERS, VALUE, tidy_html, tidy_text
from skymailing.delivery.rendering.content import LINK_NAMES, Content
from skymailing.delivery.rendering.letter import Recipient, TemplateError, preview
from skymailing.delivery.rendering.liquid import HTML as HTML_ENVIRONMENT
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.messages.starters import KEYS
from skymailing.models import AttributeType, MessageFormat
from tests.support.starters import compose_starter

pytestmark = pytest.mark.one_engine

MARKDOWN, HTML, TEXT = MessageFormat.MARKDOWN, MessageFormat.HTML, MessageFormat.TEXT
SENT = datetime(2026, 3, 4, 9, tzinfo=UTC)
FORMATS = ValueFormats({"age": AttributeType.NUMBER, "born": AttributeType.DATE, "vip": AttributeType.YES_NO})


def render(body: str, format: MessageFormat = MARKDOWN, subject: str = "News") -> Neutral:
    return render_neutral(Content(subject, format, body, "en"), "Shop", SENT, FORMATS)


def read(body: str, format: MessageFormat = MARKDOWN) -> str:
    """Return the text that visitors see."""
    page = BeautifulSoup(render(body, format).html, "html.parser")
    return " ".join((page.body or page).get_text(" ").split())


# --- No personal data -------------------------------------------------------------------------

PATHS = ["name", "email", "client.name", "client.full_name", "client.email", "client.city", "client['Город']"]
PATHS += ["client.age", "client.born", "client.vip", "client", "client.size"]
PATHS += ["sender_name", *LINK_NAMES]
FILTERS = sorted(set(HTML_ENVIRONMENT.filters) - {"default"})
ARGUMENTS = ["", ": 2", ": 'x'", ": 'x', 'y'", ": name", ": client.city"]
placeholders = st.builds(
    lambda path, filters: "{{ " + " | ".join([path, *filters]) + " }}",
    st.sampled_from(PATHS),
    st.lists(st.builds(str.__add__, st.sampled_from(FILTERS), st.sampled_from(ARGUMENTS)), max_size=3),
)
fragments = st.one_of(
    placeholders,
    st.builds("<a href='{}'>{}</a>".format, placeholders, placeholders),
    st.builds("<img src='https://shop.example/{}.png' alt='{}'>".format, placeholders, placeholders),
    st.builds("{{% if {0} %}}yes {{{{ {0} }}}}{{% else %}}no{{% endif %}}".format, st.sampled_from(PATHS)),
    st.builds("{{% for x in {} %}}{{{{ x }}}}{{% endfor %}}".format, st.sampled_from(PATHS)),
    st.sampled_from(["<p>", "</p>", "<br>", "text", "Hello, ", "! ", "\n\n", " | ", "<style>p {}</style>"]),
)


@settings(max_examples=300)
@given(st.lists(fragments, max_size=8).map("".join), st.sampled_from(list(MessageFormat)))
def test_a_published_letter_depends_on_no_client(body: str, format: MessageFormat) -> None:
    """No client is used for rendering, so only markers and links without a target could remain."""
    try:
        letter = render(body, format, subject="{{ name }} {{ client.city }} News")
    except TemplateError:
        return
    for text in (letter.title, letter.summary, letter.html):
        assert not MARKERS.search(text)
        assert "%EF%B7%9" not in text.upper()
    page = BeautifulSoup(letter.html, "html.parser")
    assert "Unsubscribe" not in page.get_text()


def test_unusual_client_values_appear_only_in_the_clients_letter() -> None:
    """Letters with the same content do contain the values that must not be published."""
    secret = "s3cret"
    body = "{{ name }} {{ email }} {{ client.city }} {{ client.full_name | upcase }} {{ client.Город }}"
    content = Content("{{ name }}", MARKDOWN, body, "en")
    recipient = Recipient(f"{secret}@m.example", secret, {"city": secret, "Город": secret})
    letter = preview(content, recipient)
    assert secret in letter.subject
    assert letter.html.lower().count(secret) == 5
    published = render_neutral(content, "Shop", SENT, FORMATS)
    assert secret not in str(published).lower()


def test_the_footer_and_links_to_personal_pages_are_removed() -> None:
    for format in MessageFormat:
        assert read("Hello", format) == "Hello"
    links = "[Unsubscribe]({{ unsubscribe_url }}) | [Open]({{ browser_url }}) · [Shop](https://shop.example)"
    assert read(f"Hello\n\n{links}") == "Hello Shop"
    for name in LINK_NAMES:
        assert "<a" not in render(f"Hello\n\n[Open]({{{{ {name} }}}})").html
    assert read("Hello\n\n--\nUnsubscribe: {{ unsubscribe_url }}\nBrowser: {{browser_url}}", TEXT) == "Hello"
    encoded = "<p>Hello</p><a href='https://shop.example/?back={{ unsubscribe_url | url_encode }}'>Leave</a>"
    assert read(encoded, HTML) == "Hello"


def test_a_footer_for_a_hidden_link_is_removed_too() -> None:
    """A letter whose own unsubscribe link may be hidden gets a footer, which must not be published."""
    hidden = "Hello{% if client.vip %} [Leave]({{ unsubscribe_url }}){% endif %}"
    assert read(hidden) == "Hello"


def test_conditions_and_defaults_see_an_empty_client() -> None:
    assert read("Hello, {{ name | default: 'friend' }}!") == "Hello, friend!"
    assert read("{% if client.vip %}VIP{% else %}all{% endif %}") == "all"
    assert read("{% if client.city == 'Omsk' %}a{% elsif client.age > 18 %}b{% else %}c{% endif %}") == "c"
    assert read("{% unless unsubscribe_url %}public{% endunless %}") == "public"
    assert read("{% case client.city %}{% when 'Omsk' %}a{% else %}b{% endcase %}") == "b"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Hello, {{ name }}!", "Hello!"),
        ("Здравствуйте, {{ client.full_name }}!", "Здравствуйте!"),
        ("{{ name }}, здравствуйте!", "Здравствуйте!"),
        ("Dear {{ name }},\n\nnews", "Dear, news"),
        ("Sent to {{ email }} by {{ sender_name }}. More news.", "More news."),
        ("We meet in {{ client.city }} on Monday.", "We meet in on Monday."),
        ("Read more: www.example.com. Your address is {{ email }}.", "Read more: www.example.com."),
    ],
)
def test_words_around_a_value_are_tidied(body: str, text: str) -> None:
    assert read(body) == text
    assert read(body, TEXT) == text


def test_the_rest_of_a_page_remains_unchanged() -> None:
    page = (
        "<!DOCTYPE html>\n<html lang='en'><head><style>p{color:red}</style></head>\n"
        "<body class=x><!-- note --><p>Hello,  world</p><p></p>{{ name }}</body></html>"
    )
    html = tidy_html(page.replace("{{ name }}", VALUE))
    assert html == page.replace("{{ name }}", "")
    assert tidy_html(page) == page


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("key", KEYS)
def test_the_starters_can_be_published(key: str, language: str) -> None:
    letter = render_neutral(compose_starter(key, language), "Shop", SENT, FORMATS)
    text = BeautifulSoup(letter.html, "html.parser").get_text(" ")
    for word in ("Unsubscribe", "Отписаться", "Sent to", "Письмо для", " !", " ,"):
        assert word not in text
    assert letter.title
    assert letter.summary


# --- Title, summary and time ------------------------------------------------------------------


def test_the_title_comes_from_the_subject_and_the_summary_from_the_text() -> None:
    letter = render("# News for you\n\n" + "Many words. " * 50, subject="News for you, {{ name }}")
    assert letter.title == "News for you"
    assert letter.summary.startswith("Many words. Many")
    assert letter.summary.endswith("Many words…")
    assert len(letter.summary) < 250
    headings = render("Shop\n\n## Spring\n\n---\n\nSpring is here: https://shop.example/", subject="Spring")
    assert headings.summary == "Spring is here:"
    parts = render("## News\n\nWe are open\nagain!\n\n- bread\n- cakes\n\nSee you", subject="Spring")
    assert parts.summary == "News. We are open again! - bread - cakes. See you"
    assert render("text", subject="{{ name }}").title == "Shop"
    assert render("x" * 1000).summary == "x" * 240 + "…"
    assert len(render("text", subject="s" * 600).title) == 500


def test_the_value_now_is_the_time_of_sending() -> None:
    assert read("{{ now | date: '%Y-%m-%d %H:%M' }} {{ today | date: '%d' }}") == "2026-03-04 09:00 04"


# --- Cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        ADDRESS + "a" * 500_000,
        " " * 500_000 + VALUE + "x",
        "<p>" * 100_000 + GONE + LINK,
        f"<a href='{LINK}'>" * 30_000,
        "\n-- " * 100_000 + VALUE,
        ". " * 200_000 + ADDRESS,
        "<td>" + " " * 400_000 + GONE + "x",
        "|" * 300_000 + GONE,
        ("<p>" + GONE) * 50_000,
    ],
)
def test_a_hostile_page_is_tidied_in_linear_time(text: str) -> None:
    start = time.process_time()
    tidy_text(text)
    tidy_html(text)
    assert time.process_time() - start < 5
