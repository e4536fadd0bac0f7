"""Test that pages are small on the first visit and that nothing moves while they load."""

from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Request, TimeoutError

from skymailing.models import Role
from tests.e2e.conftest import SCREENSHOTS, OpenWindow
from tests.e2e.pages import DEMO, paths_for
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, Screen, Window

AT_ONCE = 6  # pages

# As transferred, including headers and the fonts (24 to 37 KB), which browsers then cache.
MAX_BYTES = 190_000
MAX_HOME_BYTES = 100_000
MAX_EDITOR_BYTES = 350_000
# Pages with an editor may be larger.
EDITORS = ("/messages/new", "/edit", "/manager/articles/new")
MAX_SHIFT = 0.01  # layout shift score; 0.1 counts as good (web.dev)
SLOW = 8_000  # bytes per second, so that a page arrives and is rendered in several arbitrary parts

RECORD_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    if (entry.hadRecentInput) return;
    const moved = entry.sources.map(({ node }) => node && (node.outerHTML || node.textContent).slice(0, 90));
    window.shifts.push([entry.value, moved]);
})).observe({ type: "layout-shift", buffered: true });"""
BLOCKING = """[...document.querySelectorAll('script[src]:not([defer]):not([async]):not([type=module])')]
    .map((script) => script.src)"""


class Visit:
    """A page in its own window, whose cache is empty, and a counter of the bytes that it receives."""

    def __init__(self, window: Window, path: str) -> None:
        self.window = window
        self.path = path
        self.bytes = 0
        self.urls: list[str] = []
        self.unfinished: set[Request] = set()
        window.page.on("request", lambda request: self.unfinished.add(request))
        window.page.on("requestfinished", lambda request: self.unfinished.discard(request))
        window.page.on("requestfailed", lambda request: self.unfinished.discard(request))
        window.page.add_init_script(RECORD_SHIFTS)
        self.session = window.context.new_cdp_session(window.page)
        self.session.send("Network.enable")
        self.session.on("Network.loadingFinished", self._add)
        self.session.on("Network.responseReceived", self._record)

    def repeat_slowly(self) -> None:
        """Open the page again with slow downloads, and with the files cached by the first visit."""
        self.window.page.goto("about:blank")
        conditions = {"offline": False, "latency": 0, "uploadThroughput": -1, "downloadThroughput": SLOW}
        self.session.send("Network.emulateNetworkConditions", conditions)

    def wait_until_quiet(self) -> None:
        try:
            self.window.wait_until_quiet()
        except TimeoutError as error:
            waiting_for = [request.url for request in self.unfinished]
            raise AssertionError(f"{self.path} waits for {waiting_for}") from error

    def check_weight(self, limit: int) -> None:
        blocking = self.window.page.evaluate(BLOCKING)
        assert all("/static/js/theme." in url for url in blocking), blocking
        assert self.bytes <= limit, f"{self.path}: {self.bytes} bytes of {self.urls}"

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])

    def _record(self, event: dict[str, Any]) -> None:
        self.urls.append(event["response"]["url"])


def expect_no_movement(visits: list[Visit]) -> None:
    """Load the pages in parallel, since loading is mostly waiting; check that nothing moves."""
    with ExitStack() as stack:
        for visit in visits:
            stack.enter_context(visit.window.expecting(404, 410))
            visit.window.page.goto(visit.path, wait_until="commit")
        for visit in visits:
            visit.wait_until_quiet()
    for visit in visits:
        shifts = visit.window.page.evaluate("window.shifts")
        assert sum(value for value, _moved in shifts) <= MAX_SHIFT, f"{visit.path} moves: {shifts}"


def find_limit(path: str, role: Role | None) -> int:
    if path == "/" and role is None:
        return MAX_HOME_BYTES
    return MAX_EDITOR_BYTES if any(part in path for part in EDITORS) else MAX_BYTES


@pytest.mark.parametrize(
    ("role", "screen"),
    [(None, PHONE), (Role.USER, DESKTOP), (Role.USER, PHONE), (Role.ADMIN, DESKTOP)],
    ids=["visitor-phone", "user-desktop", "user-phone", "admin-desktop"],
)
def test_pages_are_small_and_do_not_move(
    site: Site, open_window: OpenWindow, role: Role | None, screen: Screen
) -> None:
    first = open_window(screen)
    if role is Role.USER:
        first.sign_in(DEMO, site.passwords[DEMO])
    elif role is not None:
        first.sign_in(site.add_user(role).email)
    cookies = first.context.storage_state()
    weights = {}
    # A URL with a # leads to a place on a page that is already in the list.
    paths = [path for path in paths_for(site, role) if "#" not in path]
    for start in range(0, len(paths), AT_ONCE):
        group = paths[start : start + AT_ONCE]
        visits = [Visit(open_window(screen, cookies=cookies), path) for path in group]
        expect_no_movement(visits)
        for visit in visits:
            visit.check_weight(find_limit(visit.path, role))
            weights[visit.path] = visit.bytes
        if role is Role.USER:
            for visit in visits:
                visit.repeat_slowly()
            expect_no_movement(visits)
        for visit in visits:
            visit.window.close()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    lines = [f"{weight:>8} {path}" for path, weight in sorted(weights.items(), key=lambda item: -item[1])]
    (SCREENSHOTS / f"weights-{role or 'visitor'}-{screen}.txt").write_text("\n".join(lines) + "\n")
