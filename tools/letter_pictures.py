"""Draw the pictures of our message templates: SVG files become PNG files, which mail programs can show.

    .venv/bin/python tools/letter_pictures.py

Run this script again when a drawing changes, and commit the PNG files. Sent letters contain their URLs, so a
picture must not be renamed or deleted. The folder `icons` has the icons of MJML, from Bootstrap Icons.
"""

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

SOURCE = Path(__file__).with_suffix("")
TARGET = Path(__file__).parent.parent / "skymailing" / "messages" / "starters" / "pictures"
SCALE = 2  # pixels per unit of a drawing, for high-resolution screens
COLORS = 128


def main() -> None:
    """Draw all pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), chromium_sandbox=False
        )
        page = browser.new_page(device_scale_factor=SCALE)
        for path in sorted(SOURCE.glob("*.svg")):
            page.set_content(f'<body style="margin:0">{path.read_text()}')
            image = Image.open(io.BytesIO(page.locator("svg").screenshot())).convert("RGB")
            reduced = image.quantize(COLORS, dither=Image.Dither.NONE)
            reduced.save(TARGET / f"{path.stem}.png", "PNG", optimize=True)
        for path in sorted((SOURCE / "icons").glob("*.svg")):
            page.set_content(f'<body style="margin:0">{path.read_text()}')
            icon = page.locator("svg").screenshot(omit_background=True)
            Image.open(io.BytesIO(icon)).save(TARGET / f"icon-{path.stem}.png", "PNG", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
