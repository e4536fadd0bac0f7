"""Write small .xlsx and .ods files, and archives."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
Cell = str | int | float
DATE = "date:"  # begins a cell with the number of days since 1900


def write_archive(files: dict[str, str | bytes]) -> bytes:
    """Return a ZIP archive of these files."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return output.getvalue()


def make_column_name(number: int) -> str:
    name = ""
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(65 + letter) + name
    return name


def write_cell(reference: str, value: Cell) -> str:
    if isinstance(value, str) and value.startswith(DATE):
        return f'<c r="{reference}" s="1"><v>{value.removeprefix(DATE)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{reference}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{reference}"><v>{value}</v></c>'


def write_sheet(rows: Iterable[Sequence[Cell]], last: str = "") -> str:
    """Return a sheet with these rows, and a cell at `last`, such as XFD1048576."""
    lines = []
    for y, row in enumerate(rows, 1):
        cells = "".join(write_cell(f"{make_column_name(x)}{y}", cell) for x, cell in enumerate(row, 1))
        lines.append(f'<row r="{y}">{cells}</row>')
    end = f'<row r="{last.lstrip("XFD")}">{write_cell(last, "x")}</row>' if last else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}{end}</sheetData></worksheet>'


def write_xlsx(sheets: dict[str, str]) -> bytes:
    """Return a workbook of these sheets."""
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in zip(numbers, sheets, strict=True)
    )
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    styles = f'<Relationship Id="rId99" Type="{RELATIONS}/styles" Target="styles.xml"/>'
    return write_archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
            "_rels/.rels": (
                f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
                f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
            ),
            "xl/workbook.xml": (
                f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>'
            ),
            "xl/_rels/workbook.xml.rels": (
                f'<Relationships xmlns="{PACKAGE}/relationships">{relations}{styles}</Relationships>'
            ),
            "xl/styles.xml": (
                f'<styleSheet xmlns="{MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/>'
                "</cellXfs></styleSheet>"
            ),
            **{
                f"xl/worksheets/sheet{n}.xml": sheet
                for n, sheet in zip(numbers, sheets.values(), strict=True)
            },
        }
    )


def write_ods(rows: Iterable[Sequence[str]]) -> bytes:
    """Return an OpenDocument spreadsheet with these rows."""
    lines = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p></table:table-cell>'
            for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    return write_archive(
        {
            "mimetype": ODS,
            "content.xml": (
                f'<office:document-content xmlns:office="{OFFICE}:office:1.0" '
                f'xmlns:table="{OFFICE}:table:1.0" xmlns:text="{OFFICE}:text:1.0">'
                '<office:body><office:spreadsheet><table:table table:name="People">'
                f"{lines}</table:table></office:spreadsheet></office:body></office:document-content>"
            ),
            "META-INF/manifest.xml": (
                f'<manifest:manifest xmlns:manifest="{OFFICE}:manifest:1.0">'
                f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS}"/>'
                "</manifest:manifest>"
            ),
        }
    )
