"""Test a new user's path in a browser, from registration to a finished run that is watched live."""

import re
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import expect_in_body, expect_mode
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE_DARK, Screen, Window
from tests.processes.service import wait_until

PASSWORD = "a loaf of rye bread"
CLIENTS = 300
TIMEOUT_SECONDS = 120  # time limit for background processes
LINK = re.compile(r"http://\S+(/auth/verify/\S+)")


@pytest.mark.parametrize(
    ("language", "screen", "javascript"),
    [("en", DESKTOP, True), ("ru", PHONE_DARK, True), ("en", DESKTOP, False)],
    ids=["english", "russian-phone-dark", "without-javascript"],
)
def test_a_newcomer_gets_from_registration_to_a_finished_run(
    site: Site,
    open_window: OpenWindow,
    tmp_path: Path,
    language: str,
    screen: Screen,
    javascript: bool,
) -> None:
    email = f"maria-{language}-{javascript}@bakery.example".lower()
    window = open_window(screen, language, javascript=javascript)
    register(site, window, email)
    expect(window.page.locator(".guide")).to_be_visible()
    assert window.page.locator("html").get_attribute("lang") == language

    import_clients(window, tmp_path)
    expect(open_guide_step(window, "clients")).to_have_class(re.compile("step-done"))

    write_message(window, javascript=javascript)
    expect(open_guide_step(window, "message")).to_have_class(re.compile("step-done"))

    open_guide_step(window, "mailing").locator("a.btn").click()
    (walk_through_steps if javascript else fill_in_single_page)(window)
    watch_until_finished(window, javascript=javascript)

    window.open("/")
    expect(window.page.locator(".guide")).to_have_count(0)


def open_guide_step(window: Window, name: str) -> Locator:
    window.open("/")
    return window.page.locator(f"#step-{name}")


def register(site: Site, window: Window, email: str) -> None:
    window.open("/auth/register")
    window.fill(email=email, password=PASSWORD)
    window.main.locator("button[type=submit]").click()
    window.page.wait_for_url("**/auth/registered")
    links: list[str] = []

    def has_arrived() -> bool:
        for path in (site.service.data_dir / "outbox").rglob("*.eml"):
            letter = message_from_bytes(path.read_bytes(), policy=policy.default)
            body = letter.get_body(("plain",))
            if letter["Delivered-To"] == email and body and (match := LINK.search(body.get_content())):
                links.append(match[1])
        return bool(links)

    wait_until(has_arrived, "the confirmation letter", TIMEOUT_SECONDS)
    window.open(links[0])
    window.fill(password=PASSWORD)
    with window.new_page():
        window.main.locator("form button[type=submit]").click()


def import_clients(window: Window, folder: Path) -> None:
    table = folder / "clients.csv"
    rows = "".join(f"client{number}@shop.example,Client {number},Riga\n" for number in range(CLIENTS))
    table.write_text("email,name,city\n" + rows + "no address,Somebody,\n")
    open_guide_step(window, "clients").locator("a.btn-primary").click()
    window.main.locator("input[type=file]").set_input_files(table)
    window.main.locator("form button[type=submit]").click()
    window.page.wait_for_url("**/clients/import/*")
    window.expect_to_fit()
    window.main.locator(".form-actions button[type=submit]").click()
    window.page.wait_for_url("**/clients/imports/*")
    # Without JavaScript, the page reloads automatically.
    expect(window.page.locator("#created")).to_have_text(str(CLIENTS))
    expect(window.page.locator("#rejected")).to_have_text("1")
    window.expect_to_fit()


def write_message(window: Window, *, javascript: bool) -> None:
    open_guide_step(window, "message").locator("a.btn-primary").click()
    text = "Hello {{ name }}, we bake in {{ client.city }}."
    if javascript:
        expect_mode(window, "writing")
        window.page.locator(".ql-editor").focus()
        window.page.keyboard.type(text)
        expect_in_body(window, text)
    else:
        window.fill(body=text)
    window.fill(subject="Fresh bread for {{ name }}")
    window.main.locator("#message-form button[type=submit]").first.click()
    window.page.wait_for_url(re.compile(r"/messages/\d+$"))


def walk_through_steps(window: Window) -> None:
    page = window.page
    current = page.locator(".form-step.is-current")
    expect(current).to_have_attribute("data-step", "who")
    page.locator("[name=audience][value=selected]").check()
    window.delay_responses("**/mailings/new*")
    page.locator("#client_query").press_sequentially("client1")
    # Wait for the number of matches, because the button below it selects all of them.
    expect(page.locator(".picker-status")).to_contain_text("111")
    expect(page.locator("#picker-results label", has_text="Client 299")).to_have_count(0)
    expect(page.locator("#picker-results label", has_text="Client 199")).to_have_count(0)
    page.locator("#pick-all").click()
    expect(page.locator("#picker-chosen")).to_contain_text("111")
    expect(page.locator("#client_query")).to_have_value("client1")
    page.locator("#picker-results input[type=checkbox]").first.uncheck()
    expect(page.locator("#picker-chosen")).to_contain_text("110")
    page.unroute("**/mailings/new*")
    window.expect_to_fit()

    current.locator("[data-next]").click()
    expect(current).to_have_attribute("data-step", "what")
    page.locator("[name=message]").select_option(index=1)
    # The name is optional.
    page.locator("[name=name]").press("Enter")
    expect(current).to_have_attribute("data-step", "when")
    page.go_back()
    expect(current).to_have_attribute("data-step", "what")
    page.go_forward()
    current.locator("[data-next]").click()
    expect(current).to_have_attribute("data-step", "check")
    expect(page.locator("#summary")).to_contain_text("110")
    expect(page.locator("#problems")).to_have_count(0)
    letter = page.frame_locator("#example iframe").locator("body")
    expect(letter).to_contain_text("we bake in Riga")
    window.expect_to_fit()
    start_and_confirm(window)


def start_and_confirm(window: Window) -> None:
    start, dialog = window.main.locator("#start-button > button"), window.main.locator("#start-now")
    expect(start).to_contain_text("110")
    start.click()
    dialog.locator("[data-close]").click()
    expect(dialog).not_to_be_visible()
    start.click()
    dialog.locator("button[type=submit]").click()
    window.page.wait_for_url(re.compile(r"/mailings/\d+$"))


def fill_in_single_page(window: Window) -> None:
    page = window.page
    assert page.locator(".form-step:visible").count() == 4
    page.locator("[name=audience][value=selected]").check()
    window.fill(client_query="client1")
    page.locator("button[name=pick][value=search]").click()
    page.locator("button[name=pick][value=all]").click()
    expect(page.locator("#picker-chosen")).to_contain_text("111")
    page.locator("#picker-results input[type=checkbox]").first.uncheck()
    page.locator("[name=message]").select_option(index=1)
    window.fill(name="First bread")
    page.locator("button[name=check][value='1']").click()
    expect(page.locator("#summary")).to_contain_text("110")
    page.locator("#start-button > button").click()
    page.wait_for_url(re.compile(r"/mailings/\d+$"))


def watch_until_finished(window: Window, *, javascript: bool) -> None:
    page = window.page
    if javascript:
        page.evaluate("window.isSamePage = true")
        expect(page.locator("#live .ledger-sum")).to_contain_text("110")
        expect(page.locator("#live .state-good").first).to_be_visible()
        # Polling stops at the end, and the page has not been reloaded.
        expect(page.locator("#live[data-hx-get]")).to_have_count(0, timeout=1000 * TIMEOUT_SECONDS)
        # The actions have changed as well: a mailing with a run cannot be deleted.
        expect(page.get_by_role("link", name=re.compile("Delete|Удалить"))).to_have_count(0)
        assert page.evaluate("window.isSamePage")
        charts = page.locator("#live .fold > summary", has_text=re.compile("^(Charts|Графики)"))
        if charts.is_visible():  # on phones
            charts.click()
        expect(page.locator("#live canvas").first).to_be_visible()
    else:
        done = page.locator("#live").get_by_role("img", name=re.compile("100"))
        wait_until(lambda: page.reload() and done.count(), "the end of the run", TIMEOUT_SECONDS)
    delivered = re.compile("(?<!not )delivered|(?<!не )доставлено")
    counts = page.locator(".ledger li", has_text=delivered).locator(".count")
    expect(counts).to_have_text("110")
    window.expect_to_fit()
