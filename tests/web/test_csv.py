"""CSV files for spreadsheets."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymailing.web.csv import csv_restore, csv_safe, stream_csv


@pytest.mark.parametrize("text", ["=1+1", "+7 900", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_what_a_spreadsheet_would_run_is_shown_as_text(text: str) -> None:
    assert csv_safe(text) == "'" + text


@pytest.mark.parametrize("value", ["", "Анна", "a=b", 5, -5, None])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert csv_safe(value) == value


def test_any_number_of_rows_comes_back_as_written() -> None:
    rows = [[f"{number}", 'he said "hi"', "two\nlines"] for number in range(1201)]
    pieces = list(stream_csv(rows))
    assert len(pieces) > 2
    assert list(csv.reader(io.StringIO("".join(pieces), newline=""))) == rows


@given(st.text() | st.text(st.sampled_from("'=+-@ a")))
@example("'=1")
@example("''")
def test_an_import_takes_off_what_the_export_put_before_a_formula(text: str) -> None:
    assert csv_restore(csv_safe(text)) == text


@pytest.mark.parametrize("text", ["'quoted'", "O'Brien", "'", ""])
def test_an_apostrophe_that_the_export_did_not_add_stays(text: str) -> None:
    assert csv_restore(text) == text
