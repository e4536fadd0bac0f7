"""How heavy the pages are when nothing of them is in the browser yet, and that nothing on them jumps."""

from typing import Any

import pytest

from skymailing.models import Role
from tests.e2e.conftest import PICTURES, OpenWindow
from tests.e2e.pages import DEMO, paths_for
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, Screen, Window

HEAVIEST = 150_000  # bytes over the wire, headers included
# The editor may weigh more.
EDITORS = ("/messages/new", "/edit", "/manager/articles/new")
STEADY = 0.01  # of the layout shift; 0.1 counts as good (web.dev)
LATE = 300  # milliseconds for what comes after the page is loaded
SLOW = 8_000  # bytes a second: a page is drawn in several pieces, wherever they happen to be cut

NOTE_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    if (entry.hadRecentInput) return;
    const moved = entry.sources.map(({ node }) => node && (node.outerHTML || node.textContent).slice(0, 90));
    window.shifts.push([entry.value, moved]);
})).observe({ type: "layout-shift", buffered: true });"""
BLOCKING = """[...document.querySelectorAll('script[src]:not([defer]):not([async]):not([type=module])')]
    .map((script) => script.src)"""


class Scale:
    """Weighs what a window receives."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.bytes = 0
        self.addresses: list[str] = []
        self.session = window.context.new_cdp_session(window.page)
        self.session.send("Network.enable")
        self.session.on("Network.loadingFinished", self._add)
        self.session.on("Network.responseReceived", self._note)

    def empty(self) -> None:
        """Begin anew, with a browser that has nothing of the site but its cookies."""
        self.window.page.goto("about:blank")
        self.session.send("Network.clearBrowserCache")
        self.bytes, self.addresses = 0, []

    def slow_down(self, bytes_a_second: int) -> None:
        """Let what the browser does not have yet trickle in; -1 is as fast as it can."""
        conditions = {"offline": False, "latency": 0, "uploadThroughput": -1}
        self.session.send(
            "Network.emulateNetworkConditions", conditions | {"downloadThroughput": bytes_a_second}
        )

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])

    def _note(self, event: dict[str, Any]) -> None:
        self.addresses.append(event["response"]["url"])


def look_at(window: Window, path: str) -> None:
    """Open a page and see that nothing of it moves while it arrives."""
    with window.expecting(404):
        window.page.goto(path)
        window.page.wait_for_timeout(LATE)
    shifts = window.page.evaluate("window.shifts")
    assert sum(value for value, _moved in shifts) <= STEADY, f"{path} jumps: {shifts}"


@pytest.mark.parametrize(
    ("role", "screen"),
    [(None, PHONE), (Role.USER, DESKTOP), (Role.USER, PHONE), (Role.ADMIN, DESKTOP)],
    ids=["visitor-phone", "user-desktop", "user-phone", "admin-desktop"],
)
def test_pages_are_light_and_steady(
    site: Site, open_window: OpenWindow, role: Role | None, screen: Screen
) -> None:
    window = open_window(screen)
    if role is Role.USER:
        window.sign_in(DEMO, site.passwords[DEMO])
    elif role is not None:
        window.sign_in(site.add_user(role).email)
    window.page.add_init_script(NOTE_SHIFTS)
    scale = Scale(window)
    weights = {}
    # What stands behind a # is a place on a page that is there already.
    for path in [path for path in paths_for(site, role) if "#" not in path]:
        scale.empty()
        look_at(window, path)
        weights[path] = scale.bytes
        blocking = window.page.evaluate(BLOCKING)
        assert all("/static/js/theme." in address for address in blocking), blocking
        if not any(part in path for part in EDITORS):
            assert scale.bytes <= HEAVIEST, f"{path}: {scale.bytes} bytes of {scale.addresses}"
        if role is Role.USER:  # the same page again, its files at hand and itself drop by drop
            window.page.goto("about:blank")
            scale.slow_down(SLOW)
            look_at(window, path)
            scale.slow_down(-1)
    PICTURES.mkdir(parents=True, exist_ok=True)
    lines = [f"{weight:>8} {path}" for path, weight in sorted(weights.items(), key=lambda item: -item[1])]
    (PICTURES / f"weights-{role or 'visitor'}-{screen}.txt").write_text("\n".join(lines) + "\n")
