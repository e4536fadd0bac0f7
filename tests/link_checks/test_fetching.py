"""Test that links are opened safely, and what their results mean."""

import pytest

from skymailing.delivery.rendering.content import Content
from skymailing.link_checks import fetching
from skymailing.link_checks.addresses import NotAllowed, find_links, parse_target
from skymailing.link_checks.fetching import check_links, open_link
from skymailing.models import LinkOutcome, MessageFormat
from tests.link_checks.conftest import LOOPBACK, Site

# Sites do not depend on the database.
pytestmark = pytest.mark.one_engine

AGENT = "Checker (+https://sky.example/)"


@pytest.mark.parametrize(
    ("path", "outcome", "status"),
    [
        ("/", LinkOutcome.OK, 200),
        ("/get-only", LinkOutcome.OK, 200),
        ("/for-now", LinkOutcome.OK, 200),
        ("/moved", LinkOutcome.MOVED, 200),
        ("/missing", LinkOutcome.NOT_FOUND, 404),
        ("/gone", LinkOutcome.NOT_FOUND, 410),
        ("/broken", LinkOutcome.SERVER_ERROR, 503),
        ("/robots-stay-out", LinkOutcome.REFUSED, 403),
        ("/inside", LinkOutcome.NOT_ALLOWED, None),
        ("/by-address", LinkOutcome.NOT_ALLOWED, None),
        ("/mail", LinkOutcome.NOT_ALLOWED, None),
        ("/script", LinkOutcome.NOT_ALLOWED, None),
    ],
)
def test_a_link_has_a_result(site: Site, path: str, outcome: LinkOutcome, status: int | None) -> None:
    answer = open_link(f"{site.url}{path}", LOOPBACK, AGENT)
    assert (answer.outcome, answer.status) == (outcome, status)
    assert answer.location == (f"{site.url}/" if outcome is LinkOutcome.MOVED else "")


def test_redirects_end(site: Site) -> None:
    assert open_link(f"{site.url}/loop", LOOPBACK, AGENT).outcome is LinkOutcome.NO_ANSWER
    assert len(site.requests) == fetching.MOST_REDIRECTS + 1


def test_without_permission_nothing_private_is_contacted(site: Site) -> None:
    for url in (f"{site.url}/", "http://internal.example/", "http://127.0.0.1/", "http://[::1]:8080/"):
        assert open_link(url, (), AGENT).outcome is LinkOutcome.NOT_ALLOWED
    assert site.requests == []


def test_a_host_that_does_not_exist_does_not_respond(site: Site) -> None:
    assert open_link("http://nowhere.example/", LOOPBACK, AGENT).outcome is LinkOutcome.NO_ANSWER


def test_sites_see_an_honest_request_without_cookies(site: Site) -> None:
    check_links([f"{site.url}/for-now", f"{site.url}/missing"], LOOPBACK, AGENT)
    assert sorted({(method, path) for method, path, _headers in site.requests}) == [
        *(("GET", "/missing"), ("HEAD", "/"), ("HEAD", "/for-now"), ("HEAD", "/missing")),
    ]
    for _method, _path, headers in site.requests:
        assert headers["User-Agent"] == AGENT
        assert not {"Cookie", "Referer", "From"} & set(headers)


def test_the_time_for_all_links_is_limited(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "CHECK_SECONDS", 0.0)
    (result,) = check_links([f"{site.url}/"], LOOPBACK, AGENT)
    assert result["outcome"] == LinkOutcome.NOT_CHECKED
    assert site.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://shop.example/",
        "https://user@shop.example/",
        "https://shop.example:22/",
        "https://shop.example/a\r\nb",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://shop.example:99999/",
        "https://shop.example\\@internal.example/",
        "https://" + "a" * 2000 + ".example/",
    ],
)
def test_an_address_of_another_kind_is_not_allowed(url: str) -> None:
    with pytest.raises(NotAllowed):
        parse_target(url)


def test_an_international_address_is_written_in_ascii() -> None:
    target = parse_target("https://пример.рф/путь?q=а")
    assert target.host == "xn--e1afmkfd.xn--p1ai"
    assert target.path == "/%D0%BF%D1%83%D1%82%D1%8C?q=%D0%B0"


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (
            "html",
            '<a href="https://a.example/?a=1&amp;b=2#top">1</a><a href="https://a.example/?a=1&b=2">2</a>'
            '<a href="{{ unsubscribe_url }}">3</a><a href="https://b.example/{{ name }}">4</a>'
            '<a href="mailto:a@a.example">5</a><a href="https://sky.example/blog/">6</a>',
        ),
        (
            "markdown",
            "[1](https://a.example/?a=1&b=2) [3]({{ unsubscribe_url }}) [4](https://b.example/{{ name }})",
        ),
        ("text", "https://a.example/?a=1&b=2. {{ unsubscribe_url }} https://b.example/{{ name }}"),
    ],
)
def test_the_links_of_a_letter_are_found(format: str, body: str) -> None:
    found = find_links(Content("S", MessageFormat(format), body), "https://sky.example/")
    assert found.urls == ["https://a.example/?a=1&b=2"]
    assert found.skipped == {"html": 2, "markdown": 2, "text": 1}[format]


def test_a_letter_with_many_links_is_checked_in_part() -> None:
    body = "".join(f'<a href="https://a.example/{number}">x</a>' for number in range(60))
    found = find_links(Content("S", MessageFormat.HTML, body), "https://sky.example/")
    assert (len(found.urls), found.skipped) == (50, 10)
