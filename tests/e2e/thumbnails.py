"""Draw thumbnails of the templates in the gallery.

    python -m tests.e2e.thumbnails

Run this again when a template changes, and commit the thumbnails.
"""

import io
import os
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.delivery.rendering.letter import Recipient, preview
from skymailing.messages.starters import KEYS, PICTURES
from tests.support.starters import PICTURES as PUBLIC_PICTURES
from tests.support.starters import compose_starter

TARGET = Path(__file__).parent.parent.parent / "skymailing" / "static" / "img" / "starters"
SIZE = (300, 400)
SCREEN: ViewportSize = {"width": 660, "height": 880}
ENDINGS: dict[Literal["light", "dark"], str] = {"light": ".webp", "dark": ".dark.webp"}
RECIPIENTS = {
    "en": (Recipient("ann@example.com", "Ann", {}), "Rose Bakery"),
    "ru": (Recipient("anna@example.com", "Анна", {}), "Пекарня «Роза»"),
}


def write_letters(folder: Path) -> None:
    for language in LANGUAGES:
        recipient, sender = RECIPIENTS[language]
        for key in KEYS:
            content = compose_starter(key, language, OwnerBrand(sender))
            html = preview(content, recipient, sender_name=sender).html
            html = html.replace(PUBLIC_PICTURES, f"{PICTURES.as_uri()}/")
            (folder / f"{key}.{language}.html").write_text(html)


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_letters(Path(folder))
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), chromium_sandbox=False
        )
        for color_scheme, ending in ENDINGS.items():
            page = browser.new_page(viewport=SCREEN, color_scheme=color_scheme)
            for path in sorted(Path(folder).glob("*.html")):
                page.goto(path.as_uri())
                picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                thumbnail = picture.resize(SIZE, Image.Resampling.LANCZOS)
                thumbnail.save(TARGET / (path.stem + ending), "WEBP", quality=60, method=6)
        browser.close()


if __name__ == "__main__":
    main()
