"""Benchmark how long the message editors take to start in a browser."""

import subprocess
import time
from collections.abc import Iterator
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from bench.pages import sign_in, web_server
from bench.rows import Row, Sizes
from bench.service import PROJECT_DIR
from bench.testbed import SQLITE, Testbed

EDITORS = {"blocks": "/messages/new?kind=blocks", "text": "/messages/new?kind=markdown"}
STARTED_EDITOR = "[data-editor][data-mode]"  # the last step of an editor's script sets its mode
LOADS = 5
MAX_MS = 1_000


def editor(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure how long each editor takes to start with an empty browser cache."""
    with testbed.service(SQLITE) as service, sync_playwright() as playwright:
        owner = service.add_owner(1_000)
        service.pause_workers()
        path = subprocess.run(
            ["sh", PROJECT_DIR / "tests/e2e/chromium.sh"], capture_output=True, text=True, check=True
        ).stdout.strip()
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
        with web_server(service) as port:
            cookie = sign_in(service, owner)
            for name, page in EDITORS.items():
                times = [measure(browser, f"http://127.0.0.1:{port}{page}", cookie) for _ in range(LOADS)]
                yield Row(
                    f"time until the editor of {name} has started, {SQLITE}",
                    f"{median(times):.0f} ms, at most {max(times):.0f} ms in {LOADS} loads",
                    f"<= {MAX_MS:,} ms",
                    "",
                    median(times) <= MAX_MS,
                    {"median_ms": median(times), "max_ms": max(times)},
                )
        browser.close()


def measure(browser: Browser, url: str, cookie: str) -> float:
    """Return the time in milliseconds from the request until the editor has started, in a new context."""
    context = browser.new_context(extra_http_headers={"Cookie": cookie})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(STARTED_EDITOR).wait_for(state="attached")
    milliseconds = (time.perf_counter() - start) * 1_000
    context.close()
    return milliseconds


ROWS = {"editor": editor}
