"""Test CSV files for spreadsheets."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymailing.web.csv import csv_restore, csv_safe, stream_csv


@pytest.mark.parametrize("text", ["=1+1", "+7 900", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_formula_is_escaped(text: str) -> None:
    assert csv_safe(text) == "'" + text


@pytest.mark.parametrize("value", ["", "Анна", "a=b", 5, -5, None])
def test_other_values_are_unchanged(value: object) -> None:
    assert csv_safe(value) == value


def test_streamed_rows_read_back_as_written() -> None:
    rows = [[f"{number}", 'he said "hi"', "two\nlines"] for number in range(1201)]
    chunks = list(stream_csv(rows))
    assert len(chunks) > 2
    assert list(csv.reader(io.StringIO("".join(chunks), newline=""))) == rows


@given(st.text() | st.text(st.sampled_from("'=+-@ a")))
@example("'=1")
@example("''")
def test_restoring_is_the_inverse_of_escaping(text: str) -> None:
    assert csv_restore(csv_safe(text)) == text


@pytest.mark.parametrize("text", ["'quoted'", "O'Brien", "'", ""])
def test_other_apostrophes_are_kept(text: str) -> None:
    assert csv_restore(text) == text
