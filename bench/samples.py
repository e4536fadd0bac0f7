"""Compare the reports read from sample letters with the expected ones.

python -m bench.samples FOLDER [TABLE ...]

A table has a tab-separated line per letter and address: file name, address, verdict. An empty address or
verdict is not compared. Without tables, the results are printed in this form.
"""

import sys
from collections import defaultdict
from pathlib import Path

from skymailing.returns.reader import read_return
from skymailing.returns.verdicts import judge

Facts = dict[str, set[tuple[str, str]]]  # (address, verdict) by file


def read_folder(folder: Path) -> Facts:
    """Read each letter of a folder."""
    return {
        path.name: {
            (report.recipient.lower(), judge(report).value) for report in read_return(path.read_bytes())
        }
        for path in sorted(folder.glob("*.eml"))
    }


def read_table(path: Path) -> Facts:
    facts: Facts = defaultdict(set)
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, address, verdict = (*line.split("\t"), "", "")[:3]
            facts[name].add((address.lower(), verdict))
    return facts


def compare(found: Facts, known: Facts, position: int) -> None:
    """Print how many letters have the expected values; position 0 compares addresses, 1 verdicts."""
    expected = {name: {fact[position] for fact in facts} - {""} for name, facts in known.items()}
    expected = {name: values for name, values in expected.items() if values}
    wrong = {
        name: values
        for name, values in expected.items()
        if {fact[position] for fact in found.get(name, set())} - {""} != values
    }
    for name, values in wrong.items():
        print(f"{name}: {sorted(found.get(name, set()))} instead of {sorted(values)}")
    if expected:
        what = ("addresses", "verdicts")[position]
        print(f"{what}: {len(expected) - len(wrong)} of {len(expected)} letters are correct")


def main(folder: str, *tables: str) -> None:
    found = read_folder(Path(folder))
    for table in tables:
        for position in (0, 1):
            compare(found, read_table(Path(table)), position)
    if not tables:
        for name, facts in found.items():
            for address, verdict in sorted(facts):
                print(name, address, verdict, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
