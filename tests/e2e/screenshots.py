"""Take the screenshots for README and docs, with the demo's data: `make screenshots`.

This uses the tests' browser and service, so that the screenshots show the current pages.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from sqlalchemy import select

from skymailing.models import Mailing, MailingState, User
from tests.e2e.pages import DEMO
from tests.e2e.site import Site
from tests.e2e.window import PHONE_DARK, Screen, Window

HERE = Path(__file__).parent
TARGET = HERE.parent.parent / "docs" / "screenshots"
DESKTOP = Screen(1180, 760)
DESKTOP_DARK = Screen(1180, 760, "dark")
QUALITY = 82  # of WebP: text stays sharp, a page is 20 to 60 KB


@dataclass(frozen=True)
class Picture:
    """A page, its screen and language, and what to do on it first."""

    name: str
    path: str
    screen: Screen = DESKTOP
    language: str = "en"
    prepare: Callable[[Window], object] = lambda window: None


def check_a_mailing(window: Window) -> None:
    steps = window.page.locator(".form-steps a")
    steps.nth(1).click()
    window.fill(name="Autumn fair")
    steps.last.click()
    window.page.frame_locator("#example iframe").locator("body").wait_for()
    window.wait_until_quiet()


def pictures(site: Site) -> list[Picture]:
    with site.adding() as session:
        owner = session.scalars(select(User.id).where(User.email == DEMO)).one()
        running = select(Mailing.id).where(Mailing.owner_id == owner, Mailing.state == MailingState.RUNNING)
        mailing = f"/mailings/{session.scalars(running).first()}"
    return [
        Picture("home", "/"),
        Picture("clients", "/clients/"),
        Picture("mailing", mailing),
        Picture("mailing-ru", mailing, language="ru"),
        Picture("mailing-dark", mailing, DESKTOP_DARK),
        Picture("mailing-phone", mailing, PHONE_DARK, "ru"),
        Picture("summary", "/mailings/new", prepare=check_a_mailing),
        Picture("log", "/logs/"),
        Picture("report", "/reports/"),
    ]


def main() -> None:
    """Write all screenshots."""
    found = subprocess.run(["sh", HERE / "chromium.sh"], stdout=subprocess.PIPE, text=True, check=True)
    folder = Path(tempfile.mkdtemp(prefix="screenshots-"))
    site = Site(folder / "data")
    try:
        site.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found.stdout.strip(), chromium_sandbox=False)
            for picture in pictures(site):
                window = Window(browser, site.url, picture.screen, picture.language)
                window.sign_in(DEMO, site.passwords[DEMO])
                window.open(picture.path)
                picture.prepare(window)
                window.wait_until_quiet()
                save(picture.name, window.page.screenshot())
                window.close()
            browser.close()
    finally:
        site.stop()
        shutil.rmtree(folder, ignore_errors=True)


def save(name: str, png: bytes) -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / f"{name}.webp"
    Image.open(io.BytesIO(png)).convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)
    sys.stdout.write(f"{path.stat().st_size // 1000:>5} KB  {path.relative_to(TARGET.parent.parent)}\n")


if __name__ == "__main__":
    main()
