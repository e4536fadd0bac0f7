"""Take the pictures of pages on the home page and in the help, from the demo's data: `make screenshots`."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import select

from skymailing.models import Mailing, MailingKind, MailingState, Run, Segment, SignupForm, User
from tests.e2e.pages import DEMO
from tests.e2e.site import Site
from tests.e2e.window import Screen, Window

TARGET = Path(__file__).parent.parent.parent / "skymailing" / "static" / "img"
SIZE = (880, 560)  # pixels; the page is as wide as a tablet, so that its text can be read
QUALITIES = range(60, 12, -4)
MAX_BYTES = 16_000  # so that the home page with a cover of an article stays below 100 KB
ENDINGS: dict[Literal["light", "dark"], str] = {"light": ".webp", "dark": ".dark.webp"}


@dataclass(frozen=True)
class Words:
    """The names in the pictures of a language, and the ID of the message that a new mailing sends."""

    sender: str
    running: str
    finished: str
    segment: str
    form: str
    message_id: int
    columns: tuple[str, str, str]
    people: tuple[str, ...]


WORDS = {
    "en": Words(
        *("Rose Bakery", "Autumn fair", "Autumn collection", "English speakers with a bonus", "Website"),
        *(2, ("Email", "Full name", "City")),
        ("anna@example.com,Anna Hill,Leeds", "tom@example.com,Tom Reed,York"),
    ),
    "ru": Words(
        *("Пекарня «Роза»", "Осенняя ярмарка", "Осенняя коллекция", "Англоязычные с бонусом", "Сайт, подвал"),
        *(3, ("Почта", "Имя и фамилия", "Город")),
        ("anna@example.com,Анна Петрова,Омск", "oleg@example.com,Олег Ильин,Пермь"),
    ),
}


def take_page_pictures(site: Site, browser: Browser) -> None:
    """Write the pictures in each language and theme."""
    for language, words in WORDS.items():
        places = _translate(site, language, words)
        for color_scheme, ending in ENDINGS.items():
            window = Window(browser, site.url, Screen(*SIZE, color_scheme), language)
            window.sign_in(DEMO, site.passwords[DEMO])
            window.page.request.post(f"{site.url}/language", form={"language": language})
            pictures = Pictures(window, f".{language}{ending}")
            _take_home_pictures(pictures, places)
            _take_help_pictures(pictures, places, words)
            window.close()


@dataclass(frozen=True)
class Places:
    """The paths of pages with demo data."""

    running: str
    finished: str
    segment: str
    form: str


@dataclass(frozen=True)
class Pictures:
    """A signed-in window, and the ending of its pictures' names."""

    window: Window
    ending: str

    def take(self, name: str, path: str, top: str) -> None:
        """Open a page and save a picture that begins with the element `top`."""
        self.window.open(path)
        self.save(name, top)

    def save(self, name: str, top: str) -> None:
        """Save a picture of the page, with the best quality that its size allows."""
        self.window.wait_until_quiet()
        self.window.page.locator(top).first.evaluate(
            "node => window.scrollTo(0, node.getBoundingClientRect().top + window.scrollY - 84)"
        )
        picture = Image.open(io.BytesIO(self.window.page.screenshot())).convert("RGB")
        path = TARGET / f"{name}{self.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        for quality in QUALITIES:
            picture.save(path, "WEBP", quality=quality, method=6)
            if path.stat().st_size <= MAX_BYTES:
                return


def _take_home_pictures(pictures: Pictures, places: Places) -> None:
    pictures.take("home/mailing", places.running, ".state-line")
    pictures.window.open("/messages/new?starter=arrivals")
    pictures.window.page.locator(".bc .block-cover").first.wait_for()
    pictures.save("home/editor", ".bc")


def _take_help_pictures(pictures: Pictures, places: Places, words: Words) -> None:
    """Save a picture for each page in `PICTURED`."""
    window = pictures.window
    window.open("/clients/import")
    rows = "\n".join([",".join(words.columns), *words.people])
    window.page.set_input_files(
        "[name=file]", {"name": "clients.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    )
    window.main.locator("form .btn-primary").click()
    window.page.locator(".mapping-table").wait_for()
    pictures.save("help/import", ".mapping-table")
    pictures.take("help/segments", places.segment, ".back-link")
    pictures.take("help/forms", places.form, ".back-link")
    pictures.take("help/first-message", "/messages/new", ".back-link")
    window.open(f"/mailings/new?message={words.message_id}")
    window.page.locator(".form-steps a").last.click()
    window.page.frame_locator("#example iframe").locator("body").wait_for()
    pictures.save("help/mailing", ".back-link")
    pictures.take("help/statistics", places.finished, ".back-link")


def _translate(site: Site, language: str, words: Words) -> Places:
    """Name the example data in a language; return the paths of the pages that show it."""
    with site.open_session() as session:
        owner = session.scalars(select(User).where(User.email == DEMO)).one()
        own = select(Mailing).where(Mailing.owner_id == owner.id, Mailing.kind == MailingKind.MAILING)
        running = session.scalars(own.where(Mailing.state == MailingState.RUNNING)).first()
        finished = session.scalars(own.join(Run).where(Run.test_ends_at.is_not(None))).first()
        segment = session.scalars(select(Segment).where(Segment.owner_id == owner.id)).first()
        form = session.scalars(select(SignupForm).where(SignupForm.owner_id == owner.id)).first()
        assert running is not None
        assert finished is not None
        assert segment is not None
        assert form is not None
        owner.name, running.name, finished.name = words.sender, words.running, words.finished
        segment.name, form.name = words.segment, words.form
        owner.locale = language
        return Places(
            *(f"/mailings/{running.id}", f"/mailings/{finished.id}"),
            *(f"/segments/{segment.id}/edit", f"/forms/{form.id}"),
        )
