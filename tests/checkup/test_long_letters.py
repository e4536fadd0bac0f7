"""Test that checking takes linear time: letters are long, and their authors may be malicious."""

import pytest

from skymailing.checkup.letters import Link
from skymailing.checkup.registry import LETTER_CHECKS, run_checks
from tests.checkup.letters import write
from tests.support.timing import cpu_seconds

pytestmark = pytest.mark.one_engine

PIECES = ("гаранти", "dear ", "urgent", "100 % ", "lose ", "<img ", "https://(", "p. ", "x.", " ", "st. ")


@pytest.mark.parametrize("piece", PIECES)
def test_repeated_pieces_take_linear_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    letter = write(text[:20_000], html=f"<p>{text}</p>", text=text)
    with cpu_seconds(2):
        run_checks(LETTER_CHECKS, letter)


@pytest.mark.parametrize("label", ["www." + "." * 190 + " x", "www." + "a." * 95 + " x", "a." * 99 + " "])
def test_odd_link_texts_take_linear_time(label: str) -> None:
    links = tuple(Link("https://shop.ru/", label) for _ in range(500))
    with cpu_seconds(0.5):
        run_checks(LETTER_CHECKS, write(links=links, click_host="mail.example"))
