"""Read the letters that the mail catcher has received for one address."""

from collections import Counter

from skymailing.mail_catcher.store import CaughtLetter, LetterStore
from tests.e2e.site import Site
from tests.e2e.window import Window


class Mailbox:
    """A person's mailbox, whose letters are opened in the person's window."""

    def __init__(self, site: Site, email: str, window: Window) -> None:
        self.email = email
        self._store = LetterStore(site.service.data_dir / "outbox")
        self._window = window

    def count(self) -> Counter[str]:
        """Return how many letters have each subject."""
        return Counter(str(letter.headers["Subject"]) for letter in self._list())

    def open(self, subject: str, copies: int = 1) -> None:
        """Wait for the last of `copies` letters with this subject, and open its HTML part."""
        self._window.wait_until(
            lambda: self.count()[subject] >= copies, f"{self.email} gets “{subject}” ({copies})"
        )
        newest = next(letter for letter in self._list() if letter.headers["Subject"] == subject)
        self._window.open(f"/outbox/{newest.id}/html")

    def follow(self, link: str) -> None:
        """Follow a link of the open letter in the same window."""
        found = self._window.page.get_by_role("link", name=link, exact=True)
        self._window.open(str(found.get_attribute("href")))

    def _list(self) -> list[CaughtLetter]:
        """Return the letters, newest first."""
        return [letter for letter in self._store.list_letters(self.email) if letter.recipient == self.email]
