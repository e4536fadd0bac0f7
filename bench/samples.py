"""Parse sample letters that mail servers returned, and compare the results with tables.

    python -m bench.samples FOLDER [TABLE ...]

A table has a tab-separated line for each letter and address: file name, address, verdict. An empty address or
verdict is not compared. Without tables, the results are printed as a table.
"""

import sys
from collections import defaultdict
from pathlib import Path

from skymailing.returns.reader import read_return
from skymailing.returns.verdicts import judge

Results = dict[str, set[tuple[str, str]]]  # (address, verdict) by file name


def read_folder(folder: Path) -> Results:
    """Parse each letter in a folder."""
    return {
        path.name: {
            (report.recipient.lower(), judge(report).value) for report in read_return(path.read_bytes())
        }
        for path in sorted(folder.glob("*.eml"))
    }


def read_table(path: Path) -> Results:
    results: Results = defaultdict(set)
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, address, verdict = (*line.split("\t"), "", "")[:3]
            results[name].add((address.lower(), verdict))
    return results


def compare(actual: Results, table: Results, position: int) -> None:
    """Print how many letters have the expected addresses (position 0) or verdicts (position 1)."""
    expected = {name: {result[position] for result in results} - {""} for name, results in table.items()}
    expected = {name: values for name, values in expected.items() if values}
    wrong = {
        name: values
        for name, values in expected.items()
        if {result[position] for result in actual.get(name, set())} - {""} != values
    }
    for name, values in wrong.items():
        print(f"{name}: {sorted(actual.get(name, set()))} instead of {sorted(values)}")
    if expected:
        what = ("addresses", "verdicts")[position]
        print(f"{what}: {len(expected) - len(wrong)} of {len(expected)} letters are correct")


def main(folder: str, *tables: str) -> None:
    actual = read_folder(Path(folder))
    for table in tables:
        for position in (0, 1):
            compare(actual, read_table(Path(table)), position)
    if not tables:
        for name, results in actual.items():
            for address, verdict in sorted(results):
                print(name, address, verdict, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
