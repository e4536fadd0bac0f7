"""Browser tests: a real Chromium against the whole service. `make e2e` runs them, `make test` does not.

A test opens windows with `open_window`; when it ends, no window may have reported an error.
"""

import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from skymailing.models import User
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, Window
from tests.support.factories import ClientFactory

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache"
PICTURES = CACHE / "e2e"  # screenshots of failed tests
LIBRARIES = CACHE / "chromium" / "libraries"  # written by chromium.sh if it unpacked any

failed = pytest.StashKey[bool]()


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # once, and not in each of xdist's processes
        shutil.rmtree(PICTURES, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


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
    assert site.tracebacks() == []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = subprocess.run(["sh", HERE / "chromium.sh"], stdout=subprocess.PIPE, text=True, check=True)
    with pytest.MonkeyPatch.context() as environment:
        if LIBRARIES.exists():
            environment.setenv("LD_LIBRARY_PATH", LIBRARIES.read_text().strip())
        with sync_playwright() as playwright:
            # Without a sandbox: it needs rights that containers lack, and these tests load only our pages.
            browser = playwright.chromium.launch(executable_path=found.stdout.strip(), chromium_sandbox=False)
            yield browser
            browser.close()


OpenWindow = Callable[..., Window]


@pytest.fixture
def open_window(site: Site, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[OpenWindow]:
    """Return a function that opens a window; it has the arguments of `Window`."""
    windows: list[Window] = []

    def open_one(*arguments: Any, **options: Any) -> Window:
        windows.append(Window(chromium, site.url, *arguments, **options))
        return windows[-1]

    yield open_one
    complaints = [complaint for window in windows for complaint in window.complaints]
    if complaints or request.node.stash.get(failed, False):
        PICTURES.mkdir(parents=True, exist_ok=True)
        open_ones = [window for window in windows if not window.page.is_closed()]
        for number, window in enumerate(open_ones, 1):
            window.page.screenshot(path=PICTURES / f"{request.node.name}-{number}.png", full_page=True)
    for window in windows:
        window.close()
    assert complaints == []


@pytest.fixture
def owner(site: Site) -> User:
    """A user with two clients, one of them without a city."""
    user = site.add_user(name="Rose Bakery", locale="en")
    with site.adding() as session:
        mine = {"owner": session.get_one(User, user.id)}
        ClientFactory.create(
            **mine, full_name="Ann Lee", email=f"ann{user.id}@example.org", attributes={"city": "Rome"}
        )
        ClientFactory.create(**mine, full_name="Bob Ray", email=f"bob{user.id}@example.org")
    return user


@pytest.fixture
def window(open_window: OpenWindow, owner: User) -> Window:
    window = open_window(DESKTOP)
    window.sign_in(owner.email)
    return window
