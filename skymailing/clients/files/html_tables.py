"""Read a table in an HTML or Excel 2003 XML file, which some programs save with the extension .xls."""

from html.parser import HTMLParser

ROWS, CELLS = {"tr", "row"}, {"td", "th", "cell"}


class TableParser(HTMLParser):
    """A parser that collects the rows of each table."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table" or not self.tables:
            self.tables.append([])
        if tag in ROWS:
            self._end_cell()
            self.tables[-1].append([])
        elif tag in CELLS and self.tables[-1]:
            self._end_cell()
            self._skip_to(dict(attrs).get("ss:index"))
            self._cell = []
        elif tag == "br" and self._cell is not None:
            self._cell.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in CELLS | ROWS | {"table"}:
            self._end_cell()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def _skip_to(self, index: str | None) -> None:
        """Add the empty cells that Excel omits before the cell with this number."""
        row = self.tables[-1][-1]
        if index and index.isdecimal() and len(index) < 4:
            row += [""] * (int(index) - 1 - len(row))

    def _end_cell(self) -> None:
        if self._cell is not None:
            self.tables[-1][-1].append("".join(self._cell).strip())
            self._cell = None


def read_table(text: str) -> list[list[str]]:
    """Return the rows of the first table with an address, or else of the first non-empty table."""
    parser = TableParser()
    parser.feed(text)
    parser.close()
    filled = [table for table in parser.tables if table]
    with_address = (table for table in filled if any("@" in cell for row in table for cell in row))
    return next(with_address, filled[0] if filled else [])
