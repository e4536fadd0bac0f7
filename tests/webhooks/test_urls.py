"""Check which addresses of endpoints are accepted."""

import pytest

from skymailing.webhooks.urls import InvalidUrl, parse_url

pytestmark = pytest.mark.one_engine


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://shop.example/hook", "https://shop.example/hook"),
        (" https://Shop.Example:443 ", "https://shop.example/"),
        ("https://shop.example.:8443/a?b=c&d=%20#part", "https://shop.example:8443/a?b=c&d=%20"),
        ("https://магазин.рф/путь", "https://xn--80aaaf3bi2a1b.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C"),
        ("https://shop.example/a'b\"<>", "https://shop.example/a'b%22%3C%3E"),
    ],
)
def test_addresses_are_written_in_one_form(text: str, url: str) -> None:
    parsed = parse_url(text)

    if "рф" not in text:
        assert str(parsed) == url
    assert parse_url(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("http://shop.example/", "webhook_url_not_https"),
        ("ftp://shop.example/", "webhook_url_not_https"),
        ("shop.example/hook", "webhook_url_not_https"),
        ("", "webhook_url_not_https"),
        ("https://", "webhook_url_host"),
        ("https://localhost/", "webhook_url_host"),
        ("https://127.0.0.1/", "webhook_url_host"),
        ("https://2130706433/", "webhook_url_host"),
        ("https://0x7f.1/", "webhook_url_host"),
        ("https://127.1/", "webhook_url_host"),
        ("https://[::1]/", "webhook_url_host"),
        ("https://[::ffff:127.0.0.1]/", "webhook_url_host"),
        ("https://shop..example/", "webhook_url_host"),
        ("https://-shop.example/", "webhook_url_host"),
        ("https://shop_1.example/", "webhook_url_host"),
        ("https://" + "a" * 64 + ".example/", "webhook_url_host"),
        ("https://user@shop.example/", "webhook_url_userinfo"),
        ("https://user:word@shop.example/", "webhook_url_userinfo"),
        ("https://shop.example@evil.example/", "webhook_url_userinfo"),
        ("https://shop.example:25/", "webhook_url_port"),
        ("https://shop.example:1023/", "webhook_url_port"),
        ("https://shop.example:65536/", "webhook_url_unreadable"),
        ("https://shop.example:x/", "webhook_url_unreadable"),
        ("https://[::1/", "webhook_url_unreadable"),
        ("https://shop.example/a b", "webhook_url_unreadable"),
        ("https://shop.example/a\r\nHost: evil.example", "webhook_url_unreadable"),
        ("https://shop.example/\tx", "webhook_url_unreadable"),
        ("https://shop.example\\@evil.example/", "webhook_url_unreadable"),
        ("https://shop.example/\0", "webhook_url_unreadable"),
        ("https://shop.example/" + "a" * 1000, "webhook_url_too_long"),
        ("https://shop.example/" + "я" * 500, "webhook_url_too_long"),
    ],
)
def test_other_addresses_are_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidUrl) as error:
        parse_url(text)

    assert error.value.code == code
