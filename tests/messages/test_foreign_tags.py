"""Test that placeholders that do not work are found when a message is saved and before it is sent."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.delivery.rendering.letter import Content, Recipient, preview
from skymailing.messages.unknown_placeholders import find_unknown
from skymailing.models import Message, MessageFormat, User
from tests.mailings.pages import mailing_fields, soup
from tests.support.factories import ClientFactory, MessageFactory

# Tags are found in Python.
pytestmark = pytest.mark.one_engine

LETTERS = Path(__file__).parent.parent / "data" / "letters"
HTML = MessageFormat.HTML
ANN = Recipient("ann@example.com", "Ann", {"age": "40"})


def find(body: str, *attributes: str) -> dict[str, str | None]:
    return {found.text: found.suggestion for found in find_unknown(Content("s", HTML, body), attributes)}


def test_merge_tags_of_other_services_are_found_with_their_replacements() -> None:
    body = (LETTERS / "merge-tags-of-other-services.html").read_text()

    assert find(body) == {
        "{{ contact.FIRSTNAME }}": "{{ name }}",
        "*|FNAME|*": "{{ name }}",
        "[[name]]": "{{ name }}",
        "*|UNSUB|*": "{{ unsubscribe_url }}",
    }
    assert find(body, "first_name")["*|FNAME|*"] == "{{ client.first_name }}"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("{{ имя }}", "{{ name }}"),
        ("{{ clent.name }}", "{{ name }}"),
        ("{{ client.ctiy }}", "{{ client.city }}"),
        ("{{ client.Город }}", "{{ client.город }}"),
        ("{{ params.order_id }}", "{{ client.order_id }}"),
        ("{{ Email }}", "{{ email }}"),
        ("%%name%%", "{{ name }}"),
        ("%recipient.name%", "{{ name }}"),
        ("%FIRSTNAME%", "{{ name }}"),
        ("{$email}", "{{ email }}"),
        ("{!firstname}", "{{ name }}"),
        ("${name}", "{{ name }}"),
        ("{name}", "{{ name }}"),
        ("&lt;&lt;First Name&gt;&gt;", "{{ name }}"),
        ("*|LIST:COMPANY|*", "{{ sender_name }}"),
        ("*|MC:SUBJECT|*", None),
        ("*|CITY|*", "{{ client.city }}"),
    ],
)
def test_an_unknown_placeholder_gets_a_suggestion(text: str, suggestion: str | None) -> None:
    assert find(f"<p>Hi {text},</p>", "city", "город", "order_id") == {text: suggestion}


@pytest.mark.parametrize(
    "text",
    [
        "{{ name }} {{ email }} {{ client.city }} {{ client['city'] }} {{ sender_name }}",
        "{% assign x = 1 %}{{ x }}{% for i in (1..3) %}{{ i }}{{ forloop.index }}{% endfor %}",
        '{{ "now" | date: "%Y" }} {{ today }} {% raw %}{{ other }} *|FNAME|*{% endraw %}',
        '<a href="/a%D0%9F%D0%B0?x=%20%20b">100%</a> [1] [[ ]] {color:red} 50%% || ** a|b %d %s',
        "<style>p{margin:0}a{}</style><!--[if mso]>x<![endif]-->",
    ],
)
def test_working_tags_are_not_reported(text: str) -> None:
    assert find(text, "city") == {}


@pytest.mark.both_engines
def test_a_saved_message_and_the_mailings_check_show_what_does_not_work(
    browser: FlaskClient, user: User, session: Session
) -> None:
    ClientFactory.create(owner=user, attributes={"город": "Омск"})
    body = "<p>*|FNAME|*, {{ clent.name }}, {{ client.горд }}</p>"
    location = browser.post("/messages/new", data={"subject": "s", "format": "html", "body": body}).location

    expected = [
        "There is no data for {{ client.горд }}, so nothing will appear here."
        " Did you mean {{ client.город }}?",
        "There is no data for {{ clent.name }}, so nothing will appear here. Did you mean {{ name }}?",
        "*|FNAME|* is not a SkyMailing placeholder, so clients will see it as is. Did you mean {{ name }}?",
    ]
    message = session.scalars(select(Message)).one()
    summary = browser.post("/mailings/preview", data=mailing_fields(message))
    for page in (browser.get(location), summary):
        lines = [" ".join(line.get_text().split()) for line in soup(page).select("#unknown-placeholders p")]
        assert sorted(lines[:3]) == sorted(expected)


@pytest.mark.both_engines
def test_the_check_knows_values_that_only_older_clients_have(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.messages.queries.SAMPLE", 1)
    ClientFactory.create(owner=user, attributes={"city": "Rome"})
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user, body="{{ client.city }}")

    assert not soup(browser.post("/mailings/preview", data=mailing_fields(message))).select(
        "#unknown-placeholders"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ((LETTERS / "entities-of-visual-editors-in-liquid.html").read_text(), "x Ann Ann"),
        ("{% if client.age &lt;= 40 %}y{% endif %}", "y"),
        ("{{\u00a0name\u00a0}}", "Ann"),
        ("{{ client.pet | default: “кошка” }}", "кошка"),
        ("{{ client.pet | default: «кошка» | upcase }}", "КОШКА"),
        ("{{ client.pet | default: &#39;it&#39; }}", "it"),
        ('{{ client.pet | default: "a &amp; b" }}', "a &amp; b"),
        ("{% if 4 &lt; 5 %}y{% endif %}", "y"),
        ("{% if name == &quot;Ann&quot; and name != &quot;A &amp; B&quot; %}y{% endif %}", "y"),
        (
            '<a href="%7B%7B%20unsubscribe_url%20%7D%7D">x</a>',
            '<a href="https://example.com/u/example">x</a>',
        ),
        ("{% raw %}{{&nbsp;name }}{% endraw %}", "{{&nbsp;name }}"),
    ],
)
def test_tags_are_understood_in_the_form_that_visual_editors_write(body: str, expected: str) -> None:
    html = preview(Content("s", HTML, body + "<p>{{ unsubscribe_url }}</p>"), ANN).html

    assert " ".join(html.partition("<p>https")[0].replace("<p>", "").replace("</p>", "").split()) == expected


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", "There is no filter “shout”: {{ name | shout }}."),
        ("ru", "Нет фильтра «shout»: {{ name | shout }}."),
    ],
)
def test_an_error_is_shown_at_its_tag_even_in_writing_mode(
    browser: FlaskClient, user: User, session: Session, locale: str, expected: str
) -> None:
    user.locale = locale
    session.flush()
    body = "<html>\n<body>\n<p>{{ name | shout }}</p></body></html>"

    page = soup(browser.post("/messages/new", data={"subject": "s", "format": "html", "body": body}))

    (shown,) = page.select(".writing .field-errors")
    assert shown.get_text().strip() == expected


def test_the_librarys_errors_are_explained_in_the_users_language(
    browser: FlaskClient, user: User, session: Session
) -> None:
    user.locale = "ru"
    session.flush()
    for tag in ("{{ name name }}", "{{ }}", "{% foo %}", "{{ 1 | divided_by: 0 }}", "{{ name | plus }}"):
        typed = {"subject": "s", "format": "text", "body": f"a\n{tag}"}
        problem = browser.post("/messages/insight", data=typed).json
        assert problem is not None
        text = problem["problem"]["text"]
        assert text.startswith("Строка 2: ")
        assert text.endswith(f": {tag}.")
        words = set(text.replace(tag, "").lower().split())
        assert not words & {"the", "unexpected", "expected", "error", "tag", "expression", "a"}, text
