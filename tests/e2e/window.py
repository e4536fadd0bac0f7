"""Provide a browser window that tests use as a person would; it collects the browser's error reports.

Tests refer to elements and wait for states. They never click at a position, because its target depends on
fonts, and never sleep for a fixed time, because the right time depends on the machine's speed.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Response, Route, expect

from tests.support.factories import PASSWORD

TIMEOUT = 60_000  # milliseconds; generous, because other processes may keep the machine busy
POLL = 50  # milliseconds
expect.set_options(timeout=TIMEOUT)

# Some versions of the browser do not report policy violations on the console.
REPORT_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) => console.error(
    `Content-Security-Policy: ${event.violatedDirective} forbids ${event.blockedURI}`));"""

# Finds elements that extend beyond the right edge of the page, unless they are in a box that scrolls.
FIND_OVERFLOW = """() => {
    const root = document.documentElement, width = root.clientWidth;
    if (root.scrollWidth <= width) return [];
    const isClipped = (element) => element && element !== document.body && element !== root &&
        (getComputedStyle(element).overflowX !== "visible" || isClipped(element.parentElement));
    const extendsBeyond = (element) => element.getBoundingClientRect().right > width + 1;
    const found = [...document.body.querySelectorAll("*")]
        .filter((element) => extendsBeyond(element) && !isClipped(element.parentElement))
        .map((element) => element.outerHTML.slice(0, 120));
    return [`${root.scrollWidth} instead of ${width} pixels`, ...found.slice(0, 5)];
}"""


def find_csrf_token(html: str) -> str:
    """Return the token in a page's first form."""
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', html)
    assert found is not None, html
    return found[1]


@dataclass(frozen=True)
class Screen:
    """A screen's size and colour scheme."""

    width: int
    height: int
    color_scheme: Literal["light", "dark"] = "light"

    def __str__(self) -> str:
        return f"{self.width}-{self.color_scheme}"


DESKTOP = Screen(1280, 800)
DESKTOP_DARK = Screen(1280, 800, "dark")
PHONE = Screen(390, 844)
PHONE_DARK = Screen(390, 844, "dark")
SCREENS = [DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK]


class Window:
    """A window with its own cookies; `page` is Playwright's page."""

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
            color_scheme=screen.color_scheme,
            locale=language,
            timezone_id="Europe/Moscow",
            java_script_enabled=javascript,
            storage_state=cookies,
        )
        self.context.set_default_timeout(TIMEOUT)
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._record_message)
        self.page.on("pageerror", self._record_error)
        self.page.on("response", self._record_response)

    def open(self, path: str) -> None:
        """Open a page of the site; check that it exists and fits the window."""
        response = self.page.goto(path)
        assert response is not None
        assert response.ok, f"{path}: {response.status}"
        self.expect_to_fit()

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Sign in without rendering a page, which saves half a second per test."""
        token = find_csrf_token(self.context.request.get("/auth/login").text())
        response = self.context.request.post(
            "/auth/login",
            form={"email": email, "password": password, "csrf_token": token},
            max_redirects=0,
        )
        assert response.status == 302, response.text()

    def sign_in_on_page(self, email: str, password: str = PASSWORD) -> None:
        """Sign in on the login page, and wait for the page that follows."""
        self.open("/auth/login")
        self.fill(email=email, password=password)
        self.main.locator("button.btn-primary").click()
        self.page.wait_for_url(lambda url: "/auth/login" not in url)

    @contextmanager
    def new_page(self) -> Iterator[None]:
        """Wait until the actions in the block have loaded a page, which may be the same one."""
        with self.page.expect_navigation():
            yield

    def fill(self, **values: str) -> None:
        """Fill in fields by their names, which are the same in every language."""
        for name, value in values.items():
            field = self.main.locator(f"[name={name}]")
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    def choose(self, **filters: str) -> None:
        """Fill in the list's filter by field name, unfolding it if necessary, and apply it."""
        for more in self.main.locator("form[role=search] .filter-more:not([open]) > summary").all():
            if more.is_visible():
                more.click()
        self.fill(**filters)
        with self.new_page():
            self.main.locator("form[role=search]").get_by_role("button", name="Apply").click()
        self.expect_to_fit()

    def rows(self) -> list[str]:
        """Return the text of each row of the page's table."""
        return self.main.locator("tbody tr").all_inner_texts()

    def expect_title(self, text: str | re.Pattern[str]) -> None:
        """Wait for the page with this heading; check that it fits the window."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)
        self.page.wait_for_load_state()
        self.expect_to_fit()

    def expect_notice(self, text: str) -> None:
        """Wait for the page with this notice about the last action."""
        expect(self.page.locator(".flashes")).to_contain_text(text)
        self.page.wait_for_load_state()

    @property
    def main(self) -> Locator:
        """Return the page without its header and footer."""
        return self.page.locator("main")

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def wait_until(self, condition: Callable[[], object], description: str) -> None:
        """Wait for a condition outside the page."""
        deadline = time.monotonic() + TIMEOUT / 1000
        while not condition():
            assert time.monotonic() < deadline, f"not within {TIMEOUT} ms: {description}"
            self.page.wait_for_timeout(POLL)

    def wait_until_quiet(self) -> None:
        """Wait until the page and its frames are loaded and have requested nothing for half a second."""
        self.page.wait_for_load_state("networkidle")

    def delay_responses(self, pattern: str, milliseconds: int = 800) -> None:
        """Delay all responses from a URL pattern, as a slow server would."""

        def delay(route: Route) -> None:
            with suppress(Error):  # the page may abort the request or be closed
                self.page.wait_for_timeout(milliseconds)
                route.continue_()

        self.page.route(pattern, delay)

    def expect_to_fit(self) -> None:
        """Check that the page needs no sideways scrolling."""
        overflow = self.page.evaluate(FIND_OVERFLOW)
        assert not overflow, f"{self.page.url} at {self.screen} is too wide: {overflow}"

    def background(self) -> tuple[int, int, int]:
        """Return the page's background colour: red, green, blue, each up to 255."""
        color = str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        red, green, blue = map(int, re.findall(r"\d+", color)[:3])
        return red, green, blue

    def expect_color_scheme(self) -> None:
        """Check that the page has the screen's colour scheme, light or dark."""
        is_dark = sum(self.background()) < 150
        assert is_dark is (self.screen.color_scheme == "dark"), self.page.url

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Ignore the browser's reports of error statuses that the test causes in the block."""
        before = len(self.complaints)
        yield
        self.page.evaluate("0")  # reports arrive in order, so all earlier ones arrive before this result
        reported = re.compile(f"the server responded with a status of ({'|'.join(map(str, statuses))})")
        self.complaints[before:] = [text for text in self.complaints[before:] if not reported.search(text)]

    def close(self) -> None:
        if not self.page.is_closed():
            self.page.unroute_all(behavior="ignoreErrors")
        self.context.close()

    def _record_message(self, message: ConsoleMessage) -> None:
        # The browser blocks Playwright's own scripts in frames that allow no scripts.
        is_from_playwright = (
            message.text.startswith("Blocked script execution") and "sandboxed" in message.text
        )
        if message.type == "error" and not is_from_playwright:
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _record_error(self, error: Error) -> None:
        self.complaints.append(f"{self.page.url}: {error}")

    def _record_response(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.request.method} {response.url}: {response.status}")
