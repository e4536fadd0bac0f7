"""Measure how well mail programs support a letter's HTML and CSS, with the tables of caniemail.com."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup

DATA = Path(__file__).parent.parent / "data" / "caniemail" / "support.json"
# Partial support counts as support, because it lacks values such as rem or flex, which letters do not use.
SHARES = {"y": 1, "a": 1, "n": 0}
DECLARATION = re.compile(r"(?:^|[;{])\s*([a-z-]+)\s*:\s*([^;{}]+)")
# Features whose names differ from the name of a property, an element or an attribute.
GROUPS = {
    **{f"h{level}": "html-h1-h6" for level in range(1, 7)},
    **dict.fromkeys(("ul", "ol", "dl"), "html-lists"),
}
SIDE = re.compile(r"(?<=margin|border)-(top|bottom|left|right)$|(?<=padding)-(top|bottom|left|right)$")
OUTLOOK_ONLY = re.compile(r"<!--\[if mso\]>.*?<!\[endif\]-->", re.DOTALL)


@cache
def read_shares() -> dict[str, float]:
    """Return the share of mail programs that support each feature."""
    shares = {}
    for slug, stats in json.loads(DATA.read_text()).items():
        known = sum(count for value, count in stats.items() if value in SHARES)
        if known:
            shares[slug] = sum(SHARES.get(value, 0) * count for value, count in stats.items()) / known
    return shares


def count_features(html: str) -> Counter[str]:
    """Return how often a letter uses each feature that the tables contain."""
    page = BeautifulSoup(OUTLOOK_ONLY.sub("", html), "html.parser")
    found: Counter[str] = Counter()
    for element in page.find_all(True):
        found[GROUPS.get(element.name, f"html-{element.name}")] += 1
        found.update(f"html-{name}" for name in element.attrs if name != "style")
        found.update(list_css(str(element.get("style", ""))))
    for style in page.find_all("style"):
        found.update(list_css(style.get_text()))
        found.update(
            "css-at-media-prefers-color-scheme" if "prefers" in query else "css-at-media"
            for query in re.findall(r"@media ([^{]+)", style.get_text())
        )
    return Counter({slug: count for slug, count in found.items() if slug in read_shares()})


def list_css(css: str) -> list[str]:
    """Return the features in declarations."""
    found = []
    for name, value in DECLARATION.findall(css):
        found.append(f"css-{SIDE.sub('', name)}")
        if name == "display" and value.split()[0] in ("none", "flex", "grid"):
            found.append(f"css-display-{value.split()[0]}")
        found += [f"css-unit-{unit}" for unit in re.findall(r"\d(px|em|rem|vw|vh)\b", value)]
        found += ["css-unit-percent"] if "%" in value else []
        found += ["css-important"] if "!important" in value else []
    return found


def measure_support(html: str) -> float:
    """Return the average support of the features that a letter uses, from 0 to 1."""
    found = count_features(html)
    return sum(read_shares()[slug] * count for slug, count in found.items()) / found.total()
