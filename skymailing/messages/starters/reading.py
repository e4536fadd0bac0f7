"""Read the files of templates, which are more compact than designs.

In them, a text is {"en": ..., "ru": ...}, formatted text is marked up as in `marked_text`, a picture is the
name of a drawing, and blocks have no IDs.
"""

import json
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from skymailing.delivery.composition.document import VERSION
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.messages.starters.marked_text import make_delta

DIRECTORY = Path(__file__).parent


@cache
def read_file(key: str) -> Any:
    """Return the content of a template's file, which must not be changed."""
    return json.loads((DIRECTORY / f"{key}.json").read_text())


def choose_texts(data: Any, language: str) -> Any:
    """Return a copy of parsed JSON in which each text is in the given language."""
    if isinstance(data, list):
        return [choose_texts(value, language) for value in data]
    if isinstance(data, dict):
        if data.keys() == set(LANGUAGES):
            return data[language]
        return {name: choose_texts(value, language) for name, value in data.items()}
    return data


def make_design(data: Mapping[str, Any], pictures: str) -> dict[str, Any]:
    """Return the document of a template whose texts have been chosen."""
    numbers = count(1)
    blocks = [_complete(block, pictures, numbers) for block in data["blocks"]]
    return {"version": VERSION, "settings": dict(data["settings"]), "blocks": blocks}


def apply_brand(design: dict[str, Any], brand: OwnerBrand) -> None:
    """Remove the settings for which the brand has values, and give coloured blocks the brand's colour."""
    settings = design["settings"]
    removed = {name: settings.pop(name) for name in brand.chosen if name in settings}
    if "button" not in removed:
        return
    for block in design["blocks"]:
        if block.get("style", {}).get("background") == removed["button"]:
            block["style"]["background"] = brand.button or brand.color


def _complete(block: dict[str, Any], pictures: str, numbers: "count[int]") -> dict[str, Any]:
    """Return a block with an ID, Deltas and URLs of pictures."""
    completed = {"id": f"b{next(numbers)}"} | block
    if "delta" in block:
        completed["delta"] = make_delta(block["delta"])
    if "src" in block:
        completed["src"] = f"{pictures}{block['src']}.png"
    for column in completed.get("columns", ()):
        column["blocks"] = [_complete(child, pictures, numbers) for child in column["blocks"]]
    return completed
