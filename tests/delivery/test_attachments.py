"""Test the contents and the signatures of letters with attachments."""

import itertools
from dataclasses import replace
from email.message import EmailMessage
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymailing.delivery.rendering.attachments import AttachedFile, encode_files
from skymailing.delivery.rendering.letter import Content, LetterTemplate, Sender
from skymailing.delivery.smtp import outgoing as smtp_outgoing
from skymailing.delivery.smtp.outgoing import Queued, stuff_dots
from skymailing.messages.file_types import clean_name
from skymailing.models import MessageFormat
from tests.delivery.rendered import ANN, HTML, MARKDOWN, NOW, RUN, SENDER, TEXT, URL, get_body, parse_valid
from tests.delivery.test_dkim import SIGNER, is_valid
from tests.support.files import list_attached, make_bytes

pytestmark = pytest.mark.one_engine

FILES = (
    AttachedFile("price.pdf", "application/pdf", make_bytes(3_000)),
    AttachedFile("Счёт № 5.docx", "application/msword", b"."),
)
NAMES = st.text(max_size=250).map(clean_name).filter(bool)
CONTENTS = st.binary(min_size=1, max_size=500)


def render(content: Content, files: tuple[AttachedFile, ...], sender: Sender = SENDER) -> tuple[bytes, bytes]:
    template = LetterTemplate(replace(content, files=files), sender, RUN, "mailing-7.sky.example")
    return template.render(42, ANN, URL, NOW), template.tail.content


def parse(letter: tuple[bytes, bytes]) -> EmailMessage:
    return parse_valid(b"".join(letter))


@pytest.mark.parametrize("format_", [TEXT, MARKDOWN, HTML])
def test_the_text_and_every_file_arrive_unchanged(format_: MessageFormat) -> None:
    content = Content("Price", format_, "Hello, {{ name }}")
    parsed = parse(render(content, FILES))

    assert parsed.get_content_type() == "multipart/mixed"
    assert list_attached(parsed) == [(file.name, file.content) for file in FILES]
    assert [part.get_content_type() for part in parsed.iter_attachments()] == [
        "application/pdf",
        "application/msword",
    ]
    plain = parse((render(content, ())[0], b""))
    kinds = ("plain",) if format_ is TEXT else ("plain", "html")
    for kind in kinds:
        assert get_body(parsed, kind).rstrip("\n") == get_body(plain, kind).rstrip("\n")


def test_a_letter_without_files_is_not_mixed() -> None:
    parsed = parse(render(Content("Hi", MARKDOWN, "Hello"), ()))
    assert parsed.get_content_type() == "multipart/alternative"
    assert render(Content("Hi", MARKDOWN, "Hello"), ())[1] == b""


@given(st.lists(st.tuples(NAMES, CONTENTS), min_size=1, max_size=4))
def test_any_name_and_content_arrives(given_files: list[tuple[str, bytes]]) -> None:
    files = tuple(AttachedFile(name, "application/octet-stream", content) for name, content in given_files)
    head = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=f_x"\r\n\r\n'

    tail = encode_files(files, b"=f_x").content

    parsed = parse_valid(head + tail)
    assert list_attached(parsed) == given_files
    assert max(map(len, tail.split(b"\r\n"))) <= 100


def test_a_tail_needs_no_doubled_dots() -> None:
    files = tuple(AttachedFile(name, "text/plain", b"." * 200) for name in (".x", "." * 100 + "я", "a\r\n.b"))
    tail = encode_files(files, b"=f_x").content
    assert stuff_dots(tail) == tail + b".\r\n"


@pytest.mark.parametrize("format_", [TEXT, MARKDOWN, HTML])
def test_another_implementation_accepts_the_signature(format_: MessageFormat) -> None:
    content = Content("Price", format_, "Hello,  {{ name }} \t\n.dot\n\n\n")
    head, tail = render(content, FILES, replace(SENDER, signer=SIGNER))

    assert is_valid(head + tail)
    assert not is_valid(head + tail.replace(b"price.pdf", b"other.pdf"))


@given(st.lists(st.binary(max_size=60), max_size=5), st.lists(st.integers(1, 50), min_size=1), st.binary())
def test_queued_bytes_leave_in_order_however_much_the_socket_accepts(
    pieces: list[bytes], steps: list[int], own: bytes
) -> None:
    queued, outgoing, written = Queued(), bytearray(own), b""
    for piece in pieces:
        queued.add(piece)
    assert len(queued) == sum(map(len, pieces))

    with patch.object(smtp_outgoing, "PIECE", 7):
        queued.refill(outgoing)
        for step in itertools.cycle(steps):
            if not outgoing:
                break
            written += outgoing[:step]
            del outgoing[:step]
            queued.refill(outgoing)

    assert written == own + b"".join(pieces)
    assert not queued.pieces
