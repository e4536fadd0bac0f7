"""Test our signatures with another implementation."""

import re
from base64 import b64encode

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from skymailing.delivery.rendering.content import clean
from skymailing.delivery.rendering.dkim import KEY_BITS, Signer
from skymailing.delivery.rendering.letter import Content
from skymailing.models import MessageFormat
from tests.delivery.rendered import HTML, MARKDOWN, NOW, TEXT, render

pytestmark = pytest.mark.one_engine

KEY = rsa.generate_private_key(65537, KEY_BITS)
SIGNER = Signer("shop.example", "sky1", KEY)
PUBLIC_KEY = b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
RECORD = b"v=DKIM1; k=rsa; p=" + PUBLIC_KEY
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def is_valid(letter: bytes) -> bool:
    """Return whether dkimpy accepts the signature."""

    def query(name: bytes, timeout: int = 5) -> bytes | None:
        return RECORD if name == b"sky1._domainkey.shop.example." else None

    return bool(dkim.verify(letter, dnsfunc=query))


@pytest.mark.parametrize("format_", [TEXT, MARKDOWN, HTML])
def test_another_implementation_accepts_our_signature(format_: MessageFormat) -> None:
    letter = render(Content("Скидки, {{ name }}", format_, "<p>Привет,  {{ name }} \t\n\n\nbye  </p>\n\n\n"))
    signed = SIGNER.sign(letter, NOW)
    assert signed.endswith(letter)
    assert is_valid(signed)
    assert max(map(len, signed.partition(b"\r\nFrom:")[0].split(b"\r\n"))) <= 78


def test_what_the_signature_covers_cannot_be_changed() -> None:
    letter = SIGNER.sign(render(Content("Sale", TEXT, "Half price")), NOW)
    covered = re.search(rb"h=([^;]+);", letter)
    assert covered
    names = b"".join(covered[1].split()).split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id", b"message-id"} <= set(names)
    for old, new in (
        (b"Subject: Sale", b"Subject: Free"),
        (b"Half price", b"Full price"),
        (b"List-Unsubscribe: <https://", b"List-Unsubscribe: <http://"),
        (b"\r\nTo: ", b"\r\nFrom: boss@bank.example\r\nTo: "),
    ):
        assert old in letter
        assert not is_valid(letter.replace(old, new))


def test_spaces_that_servers_change_keep_the_signature_valid() -> None:
    letter = SIGNER.sign(render(Content("Big  sale", TEXT, "Half  price \n\n")), NOW)
    assert is_valid(letter.replace(b"\r\nSubject: ", b"\r\nsubject:   ") + b"\r\n\r\n")


@given(subject=TEXTS, body=TEXTS)
def test_any_text_is_signed(subject: str, body: str) -> None:
    subject, body = (clean(text).replace("{", "(") for text in (subject, body))
    assert is_valid(SIGNER.sign(render(Content(subject, TEXT, body)), NOW))
