"""Test CSV files for spreadsheets."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymailing.web.csv import csv_restore, csv_safe, stream_csv


@pytest.mark.parametrize(
    "text", ["=1+1", "+7 900", "-2", "@SUM(A1)", "\t1", "\uff1d1+1", "\uff0b7", "\uff0d2", "\uff20SUM(A1)"]
)
def test_a_formula_is_escaped(text: str) -> None:
    assert csv_safe(text) == "'" + text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a,=1;@x", "a,'=1;'@x"),
        ("a\n-b", "a\n'-b"),
        ("\t=1", "'\t'=1"),
        ("x;\uff1d1", "x;'\uff1d1"),
        ("x\r\n'+y", "x\r\n''+y"),
        ('x;"=1+1;"', 'x;\'"=1+1;"'),
    ],
)
def test_a_formula_after_a_separator_is_escaped(text: str, safe: str) -> None:
    assert csv_safe(text) == safe


def test_every_cell_is_quoted() -> None:
    assert "".join(stream_csv([["a", 5, None, 'say "hi"']])) == '"a","5","","say ""hi"""\r\n'


@pytest.mark.parametrize("value", ["", "Анна", "a=b", "a, b; c", 5, -5, None])
def test_other_values_are_unchanged(value: object) -> None:
    assert csv_safe(value) == value


def test_streamed_rows_read_back_as_written() -> None:
    rows = [[f"{number}", 'he said "hi"', "two\nlines"] for number in range(1201)]
    chunks = list(stream_csv(rows))
    assert len(chunks) > 2
    assert list(csv.reader(io.StringIO("".join(chunks), newline=""))) == rows


@given(st.text() | st.text(st.sampled_from("'\"=+-@ a;,\t\n\uff1d")))
@example("'=1")
@example("''")
def test_restoring_is_the_inverse_of_escaping(text: str) -> None:
    assert csv_restore(csv_safe(text)) == text


@pytest.mark.parametrize("text", ["'quoted'", "O'Brien", "'", ""])
def test_other_apostrophes_are_kept(text: str) -> None:
    assert csv_restore(text) == text
