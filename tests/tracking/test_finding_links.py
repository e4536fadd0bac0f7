"""Find the links of a page as browsers read them, and add the tracking image at its end."""

import re

import pytest

from skymailing.delivery.rendering.content import Content, compile_content
from skymailing.delivery.rendering.liquid import MAX_TAGS
from skymailing.delivery.rendering.tracked_links import MAX_LINKS, LinkedPage, add_tracking_image
from skymailing.models import MessageFormat
from tests.support.timing import cpu_seconds

pytestmark = pytest.mark.one_engine


def find_links(source: str) -> list[tuple[str, str]]:
    return [(link.url, link.label) for link in LinkedPage(source).links]


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&region=2&copy=3&section=4", "?a=1&region=2&copy=3&section=4"),
        ("?a=1&copy;&reg", "?a=1\xa9\xae"),
        ("?a&#38;b&#x26;c", "?a&b&c"),
        ("?a=1&unknown;&", "?a=1&unknown;&"),
    ],
)
def test_urls_are_decoded_as_in_browsers(written: str, url: str) -> None:
    assert find_links(f'<a href="https://shop.example/{written}">Shop</a>') == [
        (f"https://shop.example/{url}", "Shop")
    ]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://",
            "https:///sale",
            "https://[::1",
            "https://shop.example:port/",
            "https://shop.example:99999/",
        ),
        *("https://пример..рф/", "https://shop.example/&#13;&#10;X: y", "https://shop.example/a b"),
    ],
)
def test_invalid_urls_remain_unchanged(url: str) -> None:
    source = f'<a href="{url}">Shop</a>'
    assert find_links(source) == []
    assert LinkedPage(source).write([], "https://sky.example") == source


@pytest.mark.parametrize(
    "content",
    [
        "<!--[if mso]><i style='x'>&nbsp;</i><![endif]--><span>Buy</span><!--[if mso]>&nbsp;<![endif]-->",
        "<style>b { color: red }</style><b>Buy</b>",
        "<style>b { color: red }</style><img src='x.png' alt='Buy'>",
    ],
)
def test_a_label_is_what_readers_see(content: str) -> None:
    assert find_links(f'<a href="https://shop.example/">{content}</a>') == [("https://shop.example/", "Buy")]


def test_labels_of_a_hostile_page_take_linear_time() -> None:
    with cpu_seconds(2):
        LinkedPage(
            '<a href="https://shop.example/">' + '<a href="https://shop.example/"><!-- <style' * 10_000
        )


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<body>İİİİİ</body>\n</html>", "<body>İİİİİ|</body>\n</html>"),
        ("<body>1</BODY ><!-- </body> -->", "<body>1|</BODY ><!-- </body> -->"),
        ("<body>1</body>{% raw %}</body>{% endraw %}", "<body>1|</body>{% raw %}</body>{% endraw %}"),
        ("<p>1</p>", "<p>1</p>|"),
    ],
)
def test_the_tracking_image_is_at_the_end_of_the_body(page: str, expected: str) -> None:
    assert re.sub("<img[^>]+>", "|", add_tracking_image(page)) == expected


def edit(page: str) -> str:
    linked = LinkedPage(page)
    return add_tracking_image(linked.write(range(1, len(linked.links) + 1), "https://sky.example"))


def test_counted_links_do_not_make_a_message_too_complicated() -> None:
    links = '<a href="https://shop.example/">Shop</a>' * (MAX_LINKS + 10)
    content = Content("Hi", MessageFormat.HTML, "{{ name }}" * (MAX_TAGS - 1) + links, "en")
    plain, tracked = compile_content(content), compile_content(content, edit)
    assert plain.html is not None
    assert tracked.html is not None
    # The tag count is used to estimate the work of loops.
    assert tracked.html.tag_count == plain.html.tag_count
