"""Test the checks with letters as they are sent, and compare them with SpamAssassin (`make soak`).

SpamAssassin must be installed for `make soak`; its service need not run.
"""

import re
import subprocess
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import uuid4

import pytest

from skymailing.checkup.letters import Letter, read_links, read_picture_urls
from skymailing.checkup.registry import LETTER_CHECKS, find_failed, run_checks
from skymailing.delivery.composition.readability import check_html
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Recipient, Sender, preview
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.messages.starters import EXAMPLE_SITE, KEYS
from skymailing.models import MessageFormat
from tests.checkup.letters import PROSE
from tests.support.starters import compose_starter

pytestmark = pytest.mark.one_engine

SITE = "https://mail.example.com/"
ANNA = Recipient("anna.petrova@example.org", "Anna Petrova", {"city": "Riga"})
PICTURE = '<img src="https://shop.example.org/bread.jpg" width="600" height="400" alt="Bread">'


def find_codes(content: Content) -> set[str]:
    """Return the codes of what can be improved in a letter."""
    rendered = preview(content, ANNA, unsubscribe_url=f"{SITE}u/token")
    letter = Letter(
        rendered.subject,
        rendered.html,
        rendered.text,
        read_links(rendered, (SITE, EXAMPLE_SITE)),
        read_picture_urls(rendered.html),
        findings=frozenset(finding.code for finding in check_html(rendered.html)),
    )
    return {one.code for one in find_failed(run_checks(LETTER_CHECKS, letter))}


def write(subject: str, body: str) -> Content:
    return Content(subject, MessageFormat.HTML, f"<!doctype html><body>{body}</body>", "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", KEYS)
def test_our_templates_need_no_improvement(key: str, language: str) -> None:
    assert find_codes(compose_starter(key, language)) <= {"postal_address"}


def test_links_are_read_with_their_texts_in_all_formats() -> None:
    page = write("x", '<a href="https://bit.ly/a">shop.ru</a> <a href="mailto:a@b.ru">a@b.ru</a>')
    assert find_codes(page) >= {"shorteners", "link_texts"}
    text = Content("x", MessageFormat.TEXT, "Look: https://bit.ly/a.", "en")
    assert "shorteners" in find_codes(text)
    markdown = Content("x", MessageFormat.MARKDOWN, "[Look](http://shop.ru/) <https://shop.ru/>", "en")
    assert find_codes(markdown) & {"encryption", "link_texts"} == {"encryption"}


def test_our_own_links_are_not_checked() -> None:
    page = write("x", f'<p>{PROSE}</p><a href="{{{{ unsubscribe_url }}}}">www.other.org</a>')
    assert "link_texts" not in find_codes(page)


def test_the_descriptions_of_pictures_are_no_text() -> None:
    page = write("x", PICTURE.replace("Bread", PROSE))
    assert "prose" in find_codes(page)
    assert "prose" not in find_codes(write("x", f"{PICTURE}<p>{PROSE}</p>"))
    assert "prose" not in find_codes(write("x", '<p>Call me.</p><img src="https://a.ru/o" width="1">'))


TEXT = f"<p>{PROSE}</p>"
# Subject, body, our check, and the rule of SpamAssassin that speaks as well.
SPAMMY = [
    ("FRESH BREAD ON FRIDAY ONLY", TEXT, "subject_case", "SUBJ_ALL_CAPS"),
    ("Bread", PICTURE, "prose", "HTML_IMAGE_ONLY_04"),
    ("Bread", TEXT + '<a href="https://bit.ly/a">Order</a>', "shorteners", "SHORT_SHORTNER"),
    ("Bread", TEXT + '<a href="http://93.184.216.34/">Order</a>', "ip_addresses", "NORMAL_HTTP_TO_IP"),
    (
        *("Bread", TEXT + '<a href="http://evil.example.net/">https://shop.example.org/</a>'),
        *("link_texts", "HTTPS_HTTP_MISMATCH"),
    ),
    ("Bread", TEXT + "100% guaranteed.", "phrases", "GUARANTEED_100_PERCENT"),
    ("Bread", TEXT + "Money back guarantee.", "phrases", "MONEY_BACK"),
    ("Bread", "<p>Dear friend,</p>" + TEXT, "phrases", "DEAR_FRIEND"),
    ("Bread", "<p>Dear lucky winner,</p>" + TEXT, "phrases", "DEAR_WINNER"),
    ("Bread", "<p>No prescription is needed.</p>" + TEXT, "phrases", "NO_PRESCRIPTION"),
    ("A gift for your family", TEXT, "phrases", "SUBJ_YOUR_FAMILY"),
    ("Lose 10 pounds in a week", TEXT, "phrases", "SUBJECT_DIET"),
    ("As seen on TV: bread", TEXT, "phrases", "SUBJ_AS_SEEN"),
    ("Bread", TEXT + "An urgent request for you.", "phrases", "URG_BIZ"),
]


@pytest.mark.parametrize(("subject", "body", "code", "rule"), SPAMMY)
def test_letters_that_filters_dislike_are_found(subject: str, body: str, code: str, rule: str) -> None:
    assert code in find_codes(write(subject, body))


@pytest.mark.soak
@pytest.mark.parametrize(("subject", "body", "code", "rule"), SPAMMY)
def test_spamassassin_agrees(subject: str, body: str, code: str, rule: str) -> None:
    assert rule in run_spamassassin(write(subject, body))


@pytest.mark.soak
def test_spamassassin_has_no_objection_where_we_have_none() -> None:
    content = write("Fresh bread on Friday", TEXT)
    assert find_codes(content) == {"postal_address"}
    assert run_spamassassin(content) <= {"HTML_MESSAGE", "MAILING_LIST_MULTI"}


def run_spamassassin(content: Content) -> set[str]:
    """Return the rules that match a letter as a mail server receives it, without network tests."""
    now, domain = datetime.now(UTC), "mail.example.com"
    sender = Sender("The Bakery", f"news@{domain}", "owner@example.com", 7, f"unsubscribe@{domain}")
    template = LetterTemplate(content, sender, RunIdentity(uuid4()), f"mailing-1.{domain}")
    received = (
        f"Received: from {domain} ({domain} [93.184.216.34])\r\n"
        f"\tby mx.example.org with ESMTPS id 4f; {format_datetime(now)}\r\n"
    )
    letter = received.encode() + template.render(1, ANNA, f"{SITE}u/token", now)
    done = subprocess.run(["spamassassin", "-L", "-t"], input=letter, capture_output=True, check=True)
    report = done.stdout.decode(errors="replace").partition("Content analysis details")[2]
    return set(re.findall(r"^\s*-?\d+\.\d ([A-Z\d_]+)", report, re.MULTILINE))
