"""Take the screenshots for the README, docs, home page and help, with demo data: `make screenshots`.

The script uses the tests' browser and service, so the screenshots show the current pages.
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

from skymailing.models import Mailing, MailingKind, MailingState, User
from tests.e2e.page_pictures import take_page_pictures
from tests.e2e.pages import DEMO
from tests.e2e.site import Site
from tests.e2e.window import PHONE_DARK, Screen, Window

E2E_DIR = Path(__file__).parent
TARGET = E2E_DIR.parent.parent / "docs" / "screenshots"
DESKTOP = Screen(1180, 760)
DESKTOP_DARK = Screen(1180, 760, "dark")
QUALITY = 82  # for WebP: text stays sharp, and a page is 20 to 60 KB


@dataclass(frozen=True)
class Screenshot:
    """A page to photograph, with its screen, language and preparation."""

    name: str
    path: str
    screen: Screen = DESKTOP
    language: str = "en"
    prepare: Callable[[Window], object] = lambda window: None


def open_summary(window: Window) -> None:
    steps = window.page.locator(".form-steps a")
    steps.nth(1).click()
    window.page.locator("[name=message]").select_option(index=1)
    window.fill(name="Autumn fair")
    steps.last.click()
    window.page.frame_locator("#example iframe").locator("body").wait_for()
    window.wait_until_quiet()


def list_screenshots(site: Site) -> list[Screenshot]:
    with site.open_session() as session:
        owner = session.scalars(select(User.id).where(User.email == DEMO)).one()
        running = select(Mailing.id).where(Mailing.owner_id == owner, Mailing.state == MailingState.RUNNING)
        running = running.where(Mailing.kind == MailingKind.MAILING)
        mailing = f"/mailings/{session.scalars(running).first()}"
    return [
        Screenshot("home", "/"),
        Screenshot("clients", "/clients/"),
        Screenshot("mailing", mailing),
        Screenshot("mailing-ru", mailing, language="ru"),
        Screenshot("mailing-dark", mailing, DESKTOP_DARK),
        Screenshot("mailing-phone", mailing, PHONE_DARK, "ru"),
        Screenshot("summary", "/mailings/new", prepare=open_summary),
        Screenshot("log", "/logs/"),
        Screenshot("report", "/reports/"),
    ]


def main() -> None:
    """Write all screenshots."""
    result = subprocess.run(["sh", E2E_DIR / "chromium.sh"], stdout=subprocess.PIPE, text=True, check=True)
    folder = Path(tempfile.mkdtemp(prefix="screenshots-"))
    site = Site(folder / "data")
    try:
        site.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=result.stdout.strip(), chromium_sandbox=False
            )
            for screenshot in list_screenshots(site):
                window = Window(browser, site.url, screenshot.screen, screenshot.language)
                window.sign_in(DEMO, site.passwords[DEMO])
                window.open(screenshot.path)
                screenshot.prepare(window)
                window.wait_until_quiet()
                save(screenshot.name, window.page.screenshot())
                window.close()
            take_page_pictures(site, browser)
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
