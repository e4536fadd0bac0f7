"""Test that pages are small on the first visit and that nothing moves while they load."""

from typing import Any

import pytest

from skymailing.models import Role
from tests.e2e.conftest import SCREENSHOTS, OpenWindow
from tests.e2e.pages import DEMO, paths_for
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, Screen, Window

# Over the wire, including headers and the fonts (24 to 37 KB), which browsers then keep.
MAX_BYTES = 190_000
MAX_HOME_BYTES = 100_000
MAX_EDITOR_BYTES = 350_000
# Pages with an editor may be larger.
EDITORS = ("/messages/new", "/edit", "/manager/articles/new")
MAX_SHIFT = 0.01  # layout shift score; 0.1 counts as good (web.dev)
SLOW = 8_000  # bytes per second; a page is rendered in several parts, cut anywhere

RECORD_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    if (entry.hadRecentInput) return;
    const moved = entry.sources.map(({ node }) => node && (node.outerHTML || node.textContent).slice(0, 90));
    window.shifts.push([entry.value, moved]);
})).observe({ type: "layout-shift", buffered: true });"""
BLOCKING = """[...document.querySelectorAll('script[src]:not([defer]):not([async]):not([type=module])')]
    .map((script) => script.src)"""


class TrafficMeter:
    """A counter of the bytes that a window receives."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.bytes = 0
        self.urls: list[str] = []
        self.session = window.context.new_cdp_session(window.page)
        self.session.send("Network.enable")
        self.session.on("Network.loadingFinished", self._add)
        self.session.on("Network.responseReceived", self._record)

    def reset(self) -> None:
        """Start again at zero, with an empty browser cache."""
        self.window.page.goto("about:blank")
        self.session.send("Network.clearBrowserCache")
        self.bytes, self.urls = 0, []

    def slow_down(self, bytes_per_second: int) -> None:
        """Limit the speed of downloads; -1 removes the limit."""
        conditions = {"offline": False, "latency": 0, "uploadThroughput": -1}
        self.session.send(
            "Network.emulateNetworkConditions", conditions | {"downloadThroughput": bytes_per_second}
        )

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])

    def _record(self, event: dict[str, Any]) -> None:
        self.urls.append(event["response"]["url"])


def expect_no_movement(window: Window, path: str) -> None:
    """Open a page and check that nothing moves while it loads."""
    with window.expecting(404, 410):
        window.page.goto(path)
        window.wait_until_quiet()
    shifts = window.page.evaluate("window.shifts")
    assert sum(value for value, _moved in shifts) <= MAX_SHIFT, f"{path} moves: {shifts}"


@pytest.mark.parametrize(
    ("role", "screen"),
    [(None, PHONE), (Role.USER, DESKTOP), (Role.USER, PHONE), (Role.ADMIN, DESKTOP)],
    ids=["visitor-phone", "user-desktop", "user-phone", "admin-desktop"],
)
def test_pages_are_small_and_do_not_move(
    site: Site, open_window: OpenWindow, role: Role | None, screen: Screen
) -> None:
    window = open_window(screen)
    if role is Role.USER:
        window.sign_in(DEMO, site.passwords[DEMO])
    elif role is not None:
        window.sign_in(site.add_user(role).email)
    window.page.add_init_script(RECORD_SHIFTS)
    meter = TrafficMeter(window)
    weights = {}
    # A URL with a # leads to a place on a page that is already in the list.
    for path in [path for path in paths_for(site, role) if "#" not in path]:
        meter.reset()
        expect_no_movement(window, path)
        weights[path] = meter.bytes
        blocking = window.page.evaluate(BLOCKING)
        assert all("/static/js/theme." in url for url in blocking), blocking
        limit = MAX_EDITOR_BYTES if any(part in path for part in EDITORS) else MAX_BYTES
        if path == "/" and role is None:
            limit = MAX_HOME_BYTES
        assert meter.bytes <= limit, f"{path}: {meter.bytes} bytes of {meter.urls}"
        if role is Role.USER:  # again, with cached files, over a slow connection
            window.page.goto("about:blank")
            meter.slow_down(SLOW)
            expect_no_movement(window, path)
            meter.slow_down(-1)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    lines = [f"{weight:>8} {path}" for path, weight in sorted(weights.items(), key=lambda item: -item[1])]
    (SCREENSHOTS / f"weights-{role or 'visitor'}-{screen}.txt").write_text("\n".join(lines) + "\n")
