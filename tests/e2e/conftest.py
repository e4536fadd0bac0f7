"""Run browser tests with a real Chromium against the whole service (`make e2e`, not `make test`).

A test opens windows with `open_window`. It fails if any of them has reported an error by the end.
"""

import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import select

from skymailing.caching.backend import PREFIX
from skymailing.caching.invalidation import shared_cache
from skymailing.models import User
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, TIMEOUT, Window
from tests.support.factories import ClientFactory

DEMO = "demo@example.com"
E2E_DIR = Path(__file__).parent
CACHE = E2E_DIR.parent.parent / ".cache"
SCREENSHOTS = CACHE / "e2e"  # screenshots of failed tests
LIBRARIES = CACHE / "chromium" / "libraries"  # written by chromium.sh if it unpacked any

# These open all pages. They begin first, so that no process has to start one of them at the end.
LONG_FILES = ("test_weight.py", "test_accessibility.py")

failed = pytest.StashKey[bool]()


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # only once, not in each of xdist's processes
        shutil.rmtree(SCREENSHOTS, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E_DIR in item.path.parents:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[failed] = item.stash.get(failed, False) or report.failed
    return report


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("e2e") / "data")
    try:
        site.start()
        yield site
    finally:
        site.stop()
    assert site.find_tracebacks() == []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    result = subprocess.run(["sh", E2E_DIR / "chromium.sh"], stdout=subprocess.PIPE, text=True, check=True)
    with pytest.MonkeyPatch.context() as environment:
        if LIBRARIES.exists():
            environment.setenv("LD_LIBRARY_PATH", LIBRARIES.read_text().strip())
        with sync_playwright() as playwright:
            # The sandbox needs privileges that containers lack, and these tests load only our pages.
            browser = playwright.chromium.launch(
                executable_path=result.stdout.strip(), chromium_sandbox=False, timeout=TIMEOUT
            )
            yield browser
            browser.close()


OpenWindow = Callable[..., Window]


@pytest.fixture
def open_window(site: Site, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[OpenWindow]:
    """Yield a function that opens a window; it has the same arguments as `Window`."""
    windows: list[Window] = []

    def open_new(*arguments: Any, **options: Any) -> Window:
        windows.append(Window(chromium, site.url, *arguments, **options))
        return windows[-1]

    yield open_new
    complaints = [complaint for window in windows for complaint in window.complaints]
    if complaints or request.node.stash.get(failed, False):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        still_open = [window for window in windows if not window.page.is_closed()]
        for number, window in enumerate(still_open, 1):
            window.page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{number}.png", full_page=True)
    for window in windows:
        window.close()
    assert complaints == []


@pytest.fixture
def no_earlier_signups(site: Site) -> None:
    """Reset the number of sign-ups from this network, since other tests may have reached the limit."""
    with site.app.app_context():
        shared_cache().run(lambda redis: [redis.delete(key) for key in redis.scan_iter(f"{PREFIX}signup:*")])


@pytest.fixture
def owner(site: Site) -> User:
    """Create a user with two clients, one of them without a city."""
    user = site.add_user(name="Rose Bakery", locale="en")
    with site.open_session() as session:
        values = {"owner": session.get_one(User, user.id)}
        ClientFactory.create(
            **values, full_name="Ann Lee", email=f"ann{user.id}@example.org", attributes={"city": "Rome"}
        )
        ClientFactory.create(**values, full_name="Bob Ray", email=f"bob{user.id}@example.org")
    return user


@pytest.fixture
def window(open_window: OpenWindow, owner: User) -> Window:
    window = open_window(DESKTOP)
    window.sign_in(owner.email)
    return window


@pytest.fixture
def demo(site: Site, open_window: OpenWindow) -> Iterator[Window]:
    """Yield a window in which the demo user is signed in, in English."""
    with site.open_session() as session:
        session.scalars(select(User).where(User.email == DEMO)).one().locale = "en"
    window = open_window()
    window.sign_in(DEMO, site.passwords[DEMO])
    yield window
    with site.open_session() as session:
        session.scalars(select(User).where(User.email == DEMO)).one().locale = ""
