"""Distinguish people from machines by the headers of one request, with real user agents."""

import pytest

from skymailing.tracking.machines import Visitor, judge_click, judge_open

pytestmark = pytest.mark.one_engine

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.0 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
YANDEX = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 YaBrowser/24.6.0.0 Safari/537.36"
)
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO_PROXY = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
YANDEX_PROXY = "Mozilla/5.0 (compatible; YandexImageResizer/2.0; +http://yandex.com/bots)"
MAIL_RU_PROXY = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko; Mail.Ru) Chrome/98.0"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17726; Pro)"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.6.0"
APPLE_PROXY = "Mozilla/5.0"
APPLE_MAIL = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize("agent", [CHROME, IPHONE, FIREFOX, YANDEX])
def test_browsers_are_people(agent: str) -> None:
    assert judge_click({"User-Agent": agent}) is Visitor.PERSON
    assert judge_open({"User-Agent": agent}) is Visitor.PERSON


@pytest.mark.parametrize(
    "agent", [GMAIL_PROXY, YAHOO_PROXY, YANDEX_PROXY, MAIL_RU_PROXY, OUTLOOK, THUNDERBIRD]
)
def test_image_proxies_and_mail_programs_are_people_who_open_letters(agent: str) -> None:
    assert judge_open({"User-Agent": agent}) is Visitor.PERSON


@pytest.mark.parametrize("agent", [APPLE_PROXY, APPLE_MAIL])
def test_apples_proxy_does_not_count_as_an_open(agent: str) -> None:
    assert judge_open({"User-Agent": agent}) is Visitor.APPLE


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "curl/8.1.2",
        "python-requests/2.31.0",
        "Go-http-client/1.1",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        CHROME.replace("Chrome/", "HeadlessChrome/"),
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    ],
)
def test_programs_and_robots_are_machines(agent: str) -> None:
    assert judge_click({"User-Agent": agent}) is Visitor.MACHINE
    assert judge_open({"User-Agent": agent}) is Visitor.MACHINE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Moz", "prefetch"),
        ("X-Purpose", "preview"),
    ],
)
def test_a_page_loaded_in_advance_is_not_a_click(name: str, value: str) -> None:
    assert judge_click({"User-Agent": CHROME, name: value}) is Visitor.MACHINE
