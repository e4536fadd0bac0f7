"""Test that any text arrives unchanged in a mail client that follows the RFCs."""

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymailing.delivery.rendering.author_test import render_test_letter
from skymailing.delivery.rendering.content import Content, clean
from skymailing.delivery.rendering.letter import (
    EXAMPLE,
    LetterTemplate,
    Recipient,
    Sender,
    TemplateError,
    make_recipient,
    preview,
)
from skymailing.delivery.rendering.mime import clean_line
from skymailing.delivery.senders import describe_from
from skymailing.models import MessageFormat, OutboxLetter, User
from tests.delivery.rendered import (
    ANN,
    HTML,
    MARKDOWN,
    NOW,
    RUN,
    SENDER,
    TEXT,
    URL,
    get_body,
    get_display_name,
    parse_valid,
    render,
)
from tests.support.factories import ClientFactory, MessageFactory

# Excludes lone surrogates, which the databases cannot store.
CHARACTERS = st.characters(exclude_categories=["Cs"])
TRICKY_TEXTS = st.sampled_from(
    [
        "\r\nBcc: evil@example.com",
        "\r",
        "\n.\r\n",
        ".",
        "\x00",
        "=?utf-8?b?aGk=?=",
        "\u202e\u200f",
        "😀" * 30,
        "Щ" * 10_000,
        "a" * 10_000,
        '"\\<>@,;:',
        "\u2028\x85",
    ]
)
TEXTS = st.lists(st.one_of(st.text(CHARACTERS, max_size=60), TRICKY_TEXTS), max_size=4).map("".join)
LITERALS = TEXTS.filter(lambda text: "{{" not in clean(text) and "{%" not in clean(text))


def test_a_letter_has_bulk_mail_headers() -> None:
    letter = parse_valid(render(Content("Привет, {{ name }}", MARKDOWN, "Здравствуйте")))

    assert letter["Subject"] == "Привет, Анна Петрова"
    assert letter["From"].addresses[0].display_name == "ООО «Небо»"
    assert letter["From"].addresses[0].addr_spec == "letters@sky.example"
    assert letter["Reply-To"] == "owner@example.com"
    assert [address.addr_spec for address in letter["To"].addresses] == [ANN.email]
    assert letter["To"].addresses[0].display_name == "Анна Петрова"
    assert letter["Date"].datetime == NOW
    assert letter["Message-ID"] == RUN.make_message_id(42, "sky.example")
    assert letter["List-Unsubscribe"] == f"<{URL}>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert letter["List-Id"] == "<mailing-7.sky.example>"
    assert letter["Precedence"] == "bulk"
    assert letter["Auto-Submitted"] is None


def test_the_same_delivery_has_the_same_message_id_on_every_attempt() -> None:
    content = Content("x", TEXT, "y")

    first, second = parse_valid(render(content)), parse_valid(render(content))

    assert first["Message-ID"] == second["Message-ID"]
    assert RUN.make_message_id(42, "a.example") != RUN.make_message_id(43, "a.example")


def test_markdown_and_html_have_two_parts_and_plain_text_has_one() -> None:
    for format in (MARKDOWN, HTML):
        letter = parse_valid(render(Content("x", format, "<p>Hello {{ name }}</p>")))
        assert letter.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]

    assert parse_valid(render(Content("x", TEXT, "Hello"))).get_content_type() == "text/plain"


def test_a_recipient_without_a_name_is_shown_as_an_address() -> None:
    letter = render(Content("x", TEXT, "y"), Recipient("ann@example.com", "  ", {}))

    assert b"\r\nTo: ann@example.com\r\n" in letter


@settings(max_examples=100)
@given(name=TEXTS, city=TEXTS, subject=LITERALS, body=LITERALS)
@example(name="a\r\nBcc: evil@example.com\r\n\r\nbody", city=".", subject="\n.\nx", body=".\r\n..\n.\r")
@example(name="Щ" * 200, city="", subject="Щ" * 300, body="x" * 10_000)
def test_any_text_arrives_unchanged(name: str, city: str, subject: str, body: str) -> None:
    recipient = Recipient("ann@example.com", name, {"city": city})
    content = Content(
        subject + " {{ client.city }}", TEXT, body + "\n{{ client.city }}|{{ unsubscribe_url }}"
    )

    letter = render(content, recipient)

    parsed = parse_valid(letter)
    assert sorted(parsed.keys()) == sorted(
        "From Reply-To To Subject Date Message-ID List-Unsubscribe List-Unsubscribe-Post List-Id "
        "Feedback-ID Precedence MIME-Version Content-Type Content-Transfer-Encoding".split()
    )
    assert parsed["Subject"] == clean_line(clean(subject) + " " + clean(city))
    assert [address.addr_spec for address in parsed["To"].addresses] == ["ann@example.com"]
    if clean_line(name):
        assert get_display_name(letter, "To") == clean_line(name)
    assert get_body(parsed, "plain") == clean(body + "\n") + clean(city) + "|" + URL


@settings(max_examples=60)
@given(name=TEXTS, body=LITERALS)
def test_any_text_arrives_in_both_parts_of_a_markdown_letter(name: str, body: str) -> None:
    recipient = Recipient("ann@example.com", "Ann", {"value": name})
    content = Content("x", MARKDOWN, f"{{{{ client.value }}}}|{{{{ unsubscribe_url }}}}\n\n{body}")

    parsed = parse_valid(render(content, recipient))

    assert get_body(parsed, "plain") == f"{clean(name)}|{URL}\n\n{clean(body)}"
    html = get_body(parsed, "html")
    escaped = (
        clean(name)
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&#34;")
        .replace("'", "&#39;")
    )
    assert f"<p>{escaped}|{URL}</p>" in html
    assert html.endswith("</html>\n")


@settings(max_examples=100)
@given(sender=TEXTS)
def test_any_sender_name_stays_within_its_header(sender: str) -> None:
    letter = render(Content("x", TEXT, "y"), sender=Sender(sender, "letters@sky.example", ""))

    parsed = parse_valid(letter)
    assert parsed["From"].addresses[0].addr_spec == "letters@sky.example"
    assert parsed["Bcc"] is None
    if clean_line(sender):
        assert get_display_name(letter, "From") == clean_line(sender)


@pytest.mark.parametrize(
    "address", ["a@b.c\r\nBcc: x@y.z", "a b@c.d", "<a@b.c>", "no-at", "", "a@й.c", "a@b.c,d@e.f"]
)
def test_an_invalid_address_is_rejected(address: str) -> None:
    with pytest.raises(TemplateError):
        render(Content("x", TEXT, "y"), Recipient(address, "", {}))


def test_lines_are_at_most_78_columns_with_ordinary_values() -> None:
    name = "Константин Константинович Константинопольский"
    letter = render(Content("Новости " * 20, MARKDOWN, "Текст " * 500), Recipient("a@b.example", name, {}))

    assert max(len(line) for line in letter.split(b"\r\n")) <= 78


def test_personal_values_are_escaped_in_html() -> None:
    mallory = Recipient("m@example.com", "<script>alert('1')</script>", {"link": '"><img src=x>'})
    body = '<a href="{{ client.link }}">{{ name | upcase }}</a>{% if name %}{{ name }}{% endif %}{{ name }}'

    html = get_body(parse_valid(render(Content("x", HTML, body), mallory)), "html")

    assert "<script" not in html.lower()
    assert "<img" not in html
    assert html.count("&lt;") == 7


def test_html_is_sent_as_written_with_a_readable_text_part() -> None:
    body = (
        "<!DOCTYPE html><html><head><style>p { color: red }</style></head><body><h1>Hello, {{ name }}</h1>"
        '<p>See <a href="https://x.example/{{ client.city }}">our site</a>.</p>'
        "<ul><li>One</li><li>Two</li></ul>{% if client.city %}<p>In {{ client.city }} &lt;3</p>{% endif %}"
        '<p><a href="{{ unsubscribe_url }}">Stop</a></p></body></html>'
    )

    letter = parse_valid(render(Content("x", HTML, body), Recipient("a@b.example", "Ann", {"city": "Rome"})))

    assert get_body(letter, "html").startswith("<!DOCTYPE html><html><head><style>p { color: red }</style>")
    assert get_body(letter, "plain") == (
        "Hello, Ann\n\nSee our site (https://x.example/Rome).\n\n- One\n- Two\n\nIn Rome <3\n\n"
        f"Stop ({URL})\n"
    )


@pytest.mark.parametrize("format", [MARKDOWN, HTML, TEXT])
def test_a_letter_without_an_unsubscribe_link_gets_one(format: MessageFormat) -> None:
    rendered = preview(Content("x", format, "<p>Hello, world</p>"), ANN, unsubscribe_url=URL)

    assert rendered.text.endswith(f"\n\n-- \nUnsubscribe: {URL}\n")
    assert (f'<a href="{URL}"' in rendered.html) is (format is not TEXT)


def test_a_letter_with_an_unsubscribe_link_does_not_get_another() -> None:
    rendered = preview(
        Content("x", MARKDOWN, "Привет. [Отписка]({{ unsubscribe_url }})"), ANN, unsubscribe_url=URL
    )

    assert rendered.html.count(URL) == 1
    assert rendered.text == f"Привет. [Отписка]({URL})"
    assert '<html lang="ru">' in rendered.html


def test_markdown_and_placeholders_do_not_interfere() -> None:
    body = (
        'Hello **{{ name | default: "friend" }}**, _{{ client.a_b_c }}_\n'
        "[shop]({{ client.shop }}?a=1&b=2) <{{ unsubscribe_url }}> <{{ email }}>\n\n"
        "{% if client.city == 'Казань' %}\n\nYou & Kazan\n\n{% endif %}\n"
        "{% for i in (1..2) %}\n- item {{ i }}\n{% endfor %}\n\n{\\{ not_a_placeholder }}"
    )
    recipient = Recipient("a@b.example", "", {"city": "Казань", "a_b_c": "*x*", "shop": "https://s.example/"})

    rendered = preview(Content("x", MARKDOWN, body), recipient, unsubscribe_url=URL)

    assert "<strong>friend</strong>, <em>*x*</em>" in rendered.html
    assert ' href="https://s.example/?a=1&amp;b=2">shop</a>' in rendered.html
    assert f' href="{URL}">{URL}</a>' in rendered.html
    assert "&lt;a@b.example&gt;" in rendered.html
    assert "<p>You &amp; Kazan</p>" in rendered.html
    assert rendered.html.count("<li>item 1</li>") == rendered.html.count("<li>item 2</li>") == 1
    assert "<p></p>" not in rendered.html
    assert "{{ not_a_placeholder }}" in rendered.html.replace("&#123;", "{")
    assert "- item 1\n- item 2\n" in rendered.text


def test_a_clients_data_is_never_parsed_as_a_template_or_markdown() -> None:
    tricky = Recipient("a@b.example", "{{ email }} **bold**", {})

    rendered = preview(Content("{{ name }}", MARKDOWN, "{{ name }}"), tricky)

    assert rendered.subject == "{{ email }} **bold**"
    assert "<p>{{ email }} **bold**</p>" in rendered.html


def test_unknown_values_are_empty_and_fields_override_attributes() -> None:
    recipient = Recipient(
        "a@b.example", "Ann", {"email": "fake@x.example", "Город": "Уфа", "два слова": "да"}
    )
    body = (
        '[{{ nothing }}{{ client.no.more }}] {{ client.email }} {{ client.Город }} {{ client["два слова"] }}'
    )

    rendered = preview(Content("x", TEXT, body), recipient)

    assert rendered.text.startswith("[] a@b.example Уфа да")


def test_an_empty_value_counts_as_missing() -> None:
    body = '{% if client.city %}in {{ client.city }}{% else %}here{% endif %}, {{ name | default: "friend" }}'

    rendered = preview(Content("x", TEXT, body), Recipient("a@b.example", "", {"city": ""}))

    assert rendered.text.startswith("here, friend")


def test_only_a_recipient_whose_data_exceeds_a_limit_gets_no_letter() -> None:
    template = LetterTemplate(
        Content("x", TEXT, "{% for i in (1..client.count) %}{{ client.word }}{% endfor %}"),
        SENDER,
        RUN,
        "l.example",
    )

    with pytest.raises(TemplateError):
        template.render(1, Recipient("a@b.example", "", {"count": "9000", "word": "x" * 1000}), URL, NOW)
    assert template.render(2, Recipient("b@b.example", "", {"count": "2", "word": "ok"}), URL, NOW)


def test_a_test_letter_goes_to_its_author_with_a_clients_values(app: Flask, user: User) -> None:
    message = MessageFactory.create(
        owner=user, subject="Hi, {{ name }}", body="{{ client.city }} {{ unsubscribe_url }}"
    )
    client = ClientFactory.create(owner=user, full_name="Ann", attributes={"city": "Rome"})

    with app.app_context():
        source = describe_from(user, None)
        test = OutboxLetter(user=user, to=user.email, params={})
        letter = parse_valid(render_test_letter(Content.of(message), make_recipient(client), test, source)[0])
        example = parse_valid(render_test_letter(Content.of(message), EXAMPLE, test, source)[0])

    assert letter["Subject"] == "[Test] Hi, Ann"
    assert [address.addr_spec for address in letter["To"].addresses] == [user.email]
    assert get_body(letter, "plain") == "Rome http://sky.example/u/example"
    assert example["Subject"].startswith("[Test] Hi, ")
