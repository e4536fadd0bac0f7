"""Test how parts and headers are encoded: readable for filters, and unchanged for readers."""

import re
import tracemalloc
from email.header import decode_header, make_header

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Sender
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
    parse_valid,
    render,
)

# Letters are built in Python.
pytestmark = pytest.mark.one_engine

LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120)
    | st.sampled_from(["From me", ".", "..", " ", "a" * 950, "=", "--=_x", "tab\tend\t", "é" + "a" * 80]),
    max_size=8,
)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        ("Hello, your order is on its way.\n", "7bit"),
        ("Hello, it costs 5 €. " * 3 + "\n", "quoted-printable"),
        ("Здравствуйте, заказ в пути.\n", "base64"),
        ("a" * 2000, "quoted-printable"),
        ("Hi\nFrom me\n", "quoted-printable"),
    ],
)
def test_parts_are_encoded_according_to_their_content(body: str, encoding: str) -> None:
    parsed = parse_valid(render(Content("s", TEXT, f"{body}{{{{ unsubscribe_url }}}}\n")))

    assert parsed["Content-Transfer-Encoding"] == encoding
    assert get_body(parsed, "plain") == f"{body}{URL}\n"


def test_a_letter_in_latin_script_contains_no_base64() -> None:
    letter = render(Content("Café news", MARKDOWN, "Hello {{ email }},\n\n**news** from the café"))

    encodings = {part["Content-Transfer-Encoding"] for part in parse_valid(letter).iter_parts()}
    assert encodings <= {"7bit", "quoted-printable"}


@settings(max_examples=100)
@given(lines=LINES, is_last=st.booleans(), has_final_break=st.booleans())
@example(lines=[""], is_last=True, has_final_break=False)
@example(lines=["a", ""], is_last=True, has_final_break=True)
def test_any_body_arrives_unchanged(lines: list[str], is_last: bool, has_final_break: bool) -> None:
    body = "\r\n".join(lines) + ("\r\n" if has_final_break else "")
    name, encoded = mime.encode_body(body.encode(), is_last=is_last)

    head = b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: ' + name + b"\r\n\r\n"
    if is_last:
        letter = b"MIME-Version: 1.0\r\n" + head + encoded + b"\r\n"
    else:
        letter = (
            b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\n'
            + head
            + encoded
            + b"\r\n--=_b--\r\n"
        )
    parsed = parse_valid(letter)
    part = parsed if is_last else next(parsed.iter_parts())
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode() == body


@pytest.mark.parametrize(
    "subject",
    [
        "Весенние скидки на билеты в Петропавловск-Камчатский и обратно до конца марта",
        "A long subject in plain ASCII that has to be folded, because it has more than 78 columns in all",
        "x" * 200,
        "one " + "y" * 100 + " two",
        "Скидка " + "9" * 100,
    ],
)
def test_long_headers_are_folded_at_spaces(subject: str) -> None:
    letter = render(Content(subject, TEXT, "x"))

    assert parse_valid(letter)["Subject"] == subject
    found = re.search(rb"\r\nSubject: (.*?)\r\n(?! )", letter, re.DOTALL)
    assert found is not None
    assert all(len(line) <= 78 for line in b"Subject: ".join([b"", found[1]]).split(b"\r\n"))
    words = [str(make_header(decode_header(word.strip().decode()))) for word in found[1].split(b"\r\n")]
    if max(map(len, subject.split())) < 20:
        assert all(word.endswith(" ") or b"=?" not in found[1] for word in words[:-1])
        assert [word for line in words for word in line.split()] == subject.split()


def test_one_click_needs_https() -> None:
    template = LetterTemplate(Content("s", TEXT, "x"), SENDER, RUN, "mailing-7.sky.example")

    secure = parse_valid(template.render(1, ANN, URL, NOW))
    assert secure["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain = parse_valid(template.render(1, ANN, URL.replace("https", "http"), NOW))
    assert plain["List-Unsubscribe-Post"] is None
    assert plain["List-Unsubscribe"] == f"<{URL.replace('https', 'http')}>"


def test_unsubscribing_by_mail_is_offered_where_a_mailbox_exists() -> None:
    sender = Sender("Sky", "letters@sky.example", "", 3, "leave@sky.example")

    letter = parse_valid(render(Content("s", TEXT, "x"), sender=sender))

    assert letter["List-Unsubscribe"] == f"<{URL}>, <mailto:leave@sky.example?subject=unsubscribe%20token>"
    assert letter["Feedback-ID"] == "m7:u3:mailing:skymailing"


def test_html_keeps_its_bytes_in_every_encoding() -> None:
    for text in ("Hello", "Hello é", "Привет"):
        body = f"<p style='a=b'>{text}  \n.\n</p>{{{{ unsubscribe_url }}}}"
        html = get_body(parse_valid(render(Content("s", HTML, body))), "html")
        assert html == body.replace("{{ unsubscribe_url }}", URL)


def test_no_unsubscribe_mailbox_is_set_by_default(app: Flask) -> None:
    assert app.config["UNSUBSCRIBE_MAILBOX"] == ""


@pytest.mark.parametrize("size", [0, 1, 75, 76, 77, 152, 15_199, 15_200, 15_201, 15_276, 100_000])
def test_base64_is_split_into_lines(size: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    lines = mime.split_lines(data).split(b"\r\n")
    assert b"".join(lines) == data
    assert {len(line) for line in lines[:-1]} <= {76}
    assert 0 < len(lines[-1]) <= 76 or not data


def test_long_letters_of_many_sizes_leave_little_in_memory() -> None:
    tracemalloc.start()
    try:
        for count in range(1_000, 1_300):
            mime.split_lines(b"x" * 76 * count)
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()
