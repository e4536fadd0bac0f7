"""A person at a browser window, which notes down whatever the browser complains of."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Response, expect

from tests.support.factories import PASSWORD

TIMEOUT = 10_000  # milliseconds; two cores may be busy with other tests
expect.set_options(timeout=TIMEOUT)

# Policy violations are complained of on the console too, but not in every version of the browser.
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) => console.error(
    `Content-Security-Policy: ${event.violatedDirective} forbids ${event.blockedURI}`));"""

# What sticks out of the page to the right, and is not in a box that scrolls.
FIND_OVERFLOW = """() => {
    const root = document.documentElement, width = root.clientWidth;
    if (root.scrollWidth <= width) return [];
    const isClipped = (element) => element && element !== document.body && element !== root &&
        (getComputedStyle(element).overflowX !== "visible" || isClipped(element.parentElement));
    const sticksOut = (element) => element.getBoundingClientRect().right > width + 1;
    const found = [...document.body.querySelectorAll("*")]
        .filter((element) => sticksOut(element) && !isClipped(element.parentElement))
        .map((element) => element.outerHTML.slice(0, 120));
    return [`${root.scrollWidth} instead of ${width} pixels`, ...found.slice(0, 5)];
}"""


@dataclass(frozen=True)
class Screen:
    """What a person looks at."""

    width: int
    height: int
    colours: Literal["light", "dark"] = "light"

    def __str__(self) -> str:
        return f"{self.width}-{self.colours}"


DESKTOP = Screen(1280, 800)
DESKTOP_DARK = Screen(1280, 800, "dark")
PHONE = Screen(390, 844)
PHONE_DARK = Screen(390, 844, "dark")
SCREENS = [DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK]


class Window:
    """One window with its own cookies; `page` is Playwright's."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        screen: Screen = DESKTOP,
        language: str = "en",
        *,
        javascript: bool = True,
        cookies: Any = None,
    ) -> None:
        self.screen = screen
        self.javascript = javascript
        self.complaints: list[str] = []
        self.context = browser.new_context(
            base_url=url,
            viewport={"width": screen.width, "height": screen.height},
            color_scheme=screen.colours,
            locale=language,
            timezone_id="Europe/Moscow",
            java_script_enabled=javascript,
            storage_state=cookies,
        )
        self.context.set_default_timeout(TIMEOUT)
        self.context.add_init_script(TELL_VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._note_message)
        self.page.on("pageerror", self._note_error)
        self.page.on("response", self._note_response)

    def open(self, path: str) -> None:
        """Go to a page of the site and see that it is there and fits the window."""
        response = self.page.goto(path)
        assert response is not None
        assert response.ok, f"{path}: {response.status}"
        self.expect_to_fit()

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Sign in through the login page."""
        self.open("/auth/login")
        self.fill(email=email, password=password)
        self.main.locator("button[type=submit]").click()
        self.page.wait_for_url(lambda url: "/auth/login" not in url)

    def fill(self, **values: str) -> None:
        """Fill in fields by their names, which are the same in every language."""
        for name, value in values.items():
            field = self.main.locator(f"[name={name}]")
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    def choose(self, **filters: str) -> None:
        """Fill in the list's filter by its fields' names and show what matches."""
        self.fill(**filters)
        self.main.locator("form[role=search]").get_by_role("button", name="Show").click()
        self.page.wait_for_url("**?**")
        self.expect_to_fit()

    def rows(self) -> list[str]:
        """Return the text of each row of the page's table."""
        return self.main.locator("tbody tr").all_inner_texts()

    def expect_title(self, text: str) -> None:
        """Wait for the page with this heading, and see that it fits the window."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)
        self.expect_to_fit()

    def expect_notice(self, text: str) -> None:
        """Wait for a message about what was just done."""
        expect(self.page.locator(".flashes")).to_contain_text(text)

    @property
    def main(self) -> Locator:
        """The page without its header and footer."""
        return self.page.locator("main")

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def expect_to_fit(self) -> None:
        """See that nobody has to scroll sideways."""
        overflow = self.page.evaluate(FIND_OVERFLOW)
        assert not overflow, f"{self.page.url} at {self.screen} is too wide: {overflow}"

    def background(self) -> tuple[int, int, int]:
        """Return the page's colour: red, green, blue, each up to 255."""
        colour = str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
        return red, green, blue

    def expect_colours(self) -> None:
        """See that the page is as light or dark as the screen."""
        is_dark = sum(self.background()) < 150
        assert is_dark is (self.screen.colours == "dark"), self.page.url

    @contextmanager
    def expecting(self, status: int) -> Iterator[None]:
        """Let the browser note that a page was answered with an error that the test is after."""
        before = len(self.complaints)
        yield
        noted = f"the server responded with a status of {status}"
        self.complaints[before:] = [text for text in self.complaints[before:] if noted not in text]

    def close(self) -> None:
        self.context.close()

    def _note_message(self, message: ConsoleMessage) -> None:
        # Playwright's own scripts, in frames that allow none.
        is_ours = message.text.startswith("Blocked script execution") and "sandboxed" in message.text
        if message.type == "error" and not is_ours:
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _note_error(self, error: Error) -> None:
        self.complaints.append(f"{self.page.url}: {error}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.request.method} {response.url}: {response.status}")
