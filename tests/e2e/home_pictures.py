"""Take the pictures of the product on the home page, from the demo's data: `make screenshots`."""

import io
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import select

from skymailing.models import Mailing, MailingKind, MailingState, User
from tests.e2e.pages import DEMO
from tests.e2e.site import Site
from tests.e2e.window import Screen, Window

TARGET = Path(__file__).parent.parent.parent / "skymailing" / "static" / "img" / "home"
SIZE = (880, 560)  # pixels; the page is as wide as a tablet, so that its text can be read
QUALITIES = range(60, 20, -4)
MAX_BYTES = 16_000  # so that the home page with a cover of an article stays below 100 KB
ENDINGS: dict[Literal["light", "dark"], str] = {"light": ".webp", "dark": ".dark.webp"}
NAMES = {"en": ("Rose Bakery", "Autumn fair"), "ru": ("Пекарня «Роза»", "Осенняя ярмарка")}


def take_home_pictures(site: Site, browser: Browser) -> None:
    """Write the pictures in each language and theme."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for language in NAMES:
        mailing_id = _translate(site, language)
        for color_scheme, ending in ENDINGS.items():
            window = Window(browser, site.url, Screen(*SIZE, color_scheme), language)
            window.sign_in(DEMO, site.passwords[DEMO])
            window.page.request.post(f"{site.url}/language", form={"language": language})
            window.open(f"/mailings/{mailing_id}")
            _save(window, f"mailing.{language}{ending}", ".state-line")
            window.open("/messages/new?starter=arrivals")
            window.page.locator(".bc .block-cover").first.wait_for()
            _save(window, f"editor.{language}{ending}", ".bl-types")
            window.close()


def _translate(site: Site, language: str) -> int:
    """Name the sender and the running mailing in a language; return the mailing's ID."""
    with site.open_session() as session:
        owner = session.scalars(select(User).where(User.email == DEMO)).one()
        running = select(Mailing).where(Mailing.owner_id == owner.id, Mailing.state == MailingState.RUNNING)
        mailing = session.scalars(running.where(Mailing.kind == MailingKind.MAILING)).first()
        assert mailing is not None
        owner.name, mailing.name = NAMES[language]
        owner.locale = language
        return mailing.id


def _save(window: Window, name: str, top: str) -> None:
    window.wait_until_quiet()
    window.page.locator(top).first.evaluate(
        "node => window.scrollTo(0, node.getBoundingClientRect().top + window.scrollY - 84)"
    )
    picture = Image.open(io.BytesIO(window.page.screenshot())).convert("RGB")
    for quality in QUALITIES:
        picture.save(TARGET / name, "WEBP", quality=quality, method=6)
        if (TARGET / name).stat().st_size <= MAX_BYTES:
            return
