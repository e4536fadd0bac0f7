"""Test reading CSV files in common encodings and formats."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymailing.clients.files.csv_reader import Record, RecordFault, read_records

TEXT = "email,ФИО\nanna@example.com,Анна\n"


def read(content: bytes) -> list[Record]:
    return list(read_records(io.BytesIO(content)))


def read_cells(content: bytes) -> list[list[str]]:
    return [record.cells for record in read(content)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_common_encodings_separators_and_line_ends_are_recognized(
    encoding: str, separator: str, line_end: str
) -> None:
    content = TEXT.replace(",", separator).replace("\n", line_end).encode(encoding)
    assert read_cells(content) == [["email", "ФИО"], ["anna@example.com", "Анна"]]


def test_a_record_has_its_first_line_number() -> None:
    records = read(b'email,comment\na@x.com,"one\r\ntwo\nthree"\n\n , \nb@x.com,\n')
    assert [(record.line, record.cells[1]) for record in records[1:]] == [(2, "one\r\ntwo\nthree"), (7, "")]


def test_excels_separator_hint_is_used() -> None:
    assert read_cells(b"sep=;\nemail;name\n")[0] == ["email", "name"]


def test_an_unclosed_quote_affects_only_its_own_row() -> None:
    records = read(b'email,name\na@x.com,"Anna\nb@x.com,"Boris"\nc@x.com,Clara\nd@x.com,"Dora\n')
    assert [(record.line, record.fault) for record in records] == [
        (1, None),
        (2, RecordFault.OPEN_QUOTE),
        (3, None),
        (4, None),
        (5, RecordFault.OPEN_QUOTE),
    ]


def test_a_quote_in_the_middle_of_a_cell_is_accepted() -> None:
    assert read_cells(b'email,name\na@x.com,Anna "Nan" B\nb@x.com,"Boris" Petrov\n')[1:] == [
        ["a@x.com", 'Anna "Nan" B'],
        ["b@x.com", "Boris Petrov"],
    ]


def test_a_line_that_is_too_long_is_reported_and_skipped() -> None:
    records = read(b"email,name\na@x.com," + b"x" * 300_000 + b"\nb@x.com,Boris\n")
    assert [(record.line, record.fault) for record in records[1:]] == [
        (2, RecordFault.LINE_TOO_LONG),
        (3, None),
    ]


def test_broken_bytes_in_utf8_affect_only_their_own_row() -> None:
    content = "email,name\na@x.com,Анна Петрова\n".encode() + b"b@x.com,\xff\n"
    assert [record.fault for record in read(content)] == [None, None, RecordFault.UNREADABLE]


def test_an_empty_file_has_no_rows() -> None:
    assert read(b"") == []
    assert read(b"\xef\xbb\xbf\n \n") == []


def test_memory_use_does_not_grow_with_the_file() -> None:
    def measure_peak(rows: int) -> int:
        content = io.BytesIO(b"email,name\n" + b'a@x.com,"Anna, P"\n' * rows)
        tracemalloc.start()
        assert sum(1 for _record in read_records(content)) == rows + 1
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    assert measure_peak(120_000) < measure_peak(60_000) * 1.2


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd\0")),
            min_size=2,
            max_size=2,
        )
    )
)
def test_the_output_of_a_csv_writer_is_read_unchanged(rows: list[list[str]]) -> None:
    output = io.StringIO()
    csv.writer(output).writerows([["email", "name"], *rows])
    expected = [row for row in rows if any(cell.strip() for cell in row)]
    records = list(read_records(io.BytesIO(b"\xef\xbb\xbf" + output.getvalue().encode())))
    assert [record.cells for record in records[1:]] == expected


@given(st.binary())
def test_any_bytes_can_be_read(content: bytes) -> None:
    lines = [record.line for record in read(content)]
    assert lines == sorted(set(lines))
