"""Test with two real web processes that no page is stale or shows another user's data."""

import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.blog.view_counts import COUNTS
from skymailing.models import Article, MailingState, Role, User
from tests.caching.web_process import WebProcess
from tests.journey.visitor import Visitor
from tests.support.factories import PASSWORD, ArticleFactory, MailingFactory, UserFactory
from tests.support.servers import RedisServer

VERSION = re.compile(r"version-(\d+)")
PUBLIC_PATHS = ("/", "/blog/", "/blog/first", "/blog/feed.atom")
TIMEOUT_SECONDS = 2.5
EDITS = 4  # minimum, even on a busy machine


@pytest.fixture(scope="module")
def running(
    environment: dict[str, str], app: Flask, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[WebProcess]]:
    logs = tmp_path_factory.mktemp("web")
    processes = [WebProcess(environment, logs / f"{number}.log") for number in range(2)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait_until_ready()
        yield processes
    finally:
        for process in processes:
            process.stop()


@pytest.fixture
def web(running: list[WebProcess], session: Session) -> list[WebProcess]:
    """Return two web processes that share only Redis and the database, which is empty at first."""
    return running


def sign_in(web: WebProcess, user: User) -> Visitor:
    browser = web.visitor()
    browser.submit(browser.get("/auth/login"), email=user.email, password=PASSWORD)
    return browser


class Author:
    """An author who edits one article in the panel, in either process."""

    def __init__(self, web: list[WebProcess]) -> None:
        user = UserFactory.create(role=Role.CONTENT)
        self.article: Article = ArticleFactory.create(slug="first", title="version-0", summary="version-0")
        self.browsers = [sign_in(process, user) for process in web]
        self.saved = 0  # the last version that was saved
        self.started = 0  # the last version that was submitted

    def edit(self, process: int) -> None:
        """Save the next version in one of the processes."""
        self.started += 1
        text = f"version-{self.started}"
        browser = self.browsers[process]
        form = browser.get(f"/manager/articles/{self.article.id}/edit")
        page = browser.submit(form, title=text, summary=text, body=f"It is {text}.", slug="first")
        assert page.status == 200
        assert "Article saved." in page.text
        self.saved = self.started


def find_versions(text: str) -> set[int]:
    return {int(number) for number in VERSION.findall(text)}


@pytest.mark.one_engine  # views are counted in Redis
def test_views_of_an_article_survive_the_end_of_the_process(
    environment: dict[str, str], session: Session, tmp_path: Path, redis_server: RedisServer
) -> None:
    article = ArticleFactory.create(slug="first")
    web = WebProcess(environment, tmp_path / "web.log")
    web.start()
    try:
        web.wait_until_ready()
        visitor = web.visitor()
        for _ in range(30):
            assert visitor.get("/blog/first").status == 200
    finally:
        web.stop()
    assert redis_server.client.hget(COUNTS, str(article.id)) == b"30"


@pytest.mark.one_engine  # commits of two processes at the same time are tested below on both
def test_an_edit_in_one_process_is_visible_in_both(web: list[WebProcess], redis_server: RedisServer) -> None:
    author = Author(web)
    visitors = [process.visitor() for process in web]
    for number in range(6):
        for visitor in visitors:
            for path in PUBLIC_PATHS:
                for _ in range(10 if path == "/" else 2):  # caches every variant of the home page
                    assert find_versions(visitor.get(path).text) == {author.saved}, path
        if number == 3:
            redis_server.client.flushall()
        author.edit(number % 2)
        if number == 4:
            redis_server.client.flushall()


@pytest.mark.one_engine
def test_users_and_visitors_see_only_their_own_data(web: list[WebProcess]) -> None:
    people = [
        UserFactory.create(name=f"Secret {name}", email=f"{name}-secret@example.com")
        for name in ("anna", "boris")
    ]
    for person in people:
        MailingFactory.create(owner=person, name=f"Plan by {person.name}", state=MailingState.RUNNING)
    ArticleFactory.create(slug="first")
    browsers = [[sign_in(process, person) for process in web] for person in people]
    visitors = [process.visitor() for process in web]
    for _ in range(3):
        for process in range(2):
            for path in ("/", "/blog/", "/blog/first"):
                anna, boris = (browser[process].get(path).text for browser in browsers)
                assert "Secret anna" in anna
                assert "boris" not in anna
                assert "Secret boris" in boris
                assert "anna" not in boris
                assert "ecret" not in visitors[process].get(path).text
                assert "ecret" not in visitors[1 - process].get(path).text


class Readers:
    """Visitors and two users who read pages until the test is over, and record errors in them."""

    def __init__(self, web: list[WebProcess], author: Author) -> None:
        self.web = web
        self.author = author
        self.users: list[User] = [UserFactory.create(name=f"Secret {name}") for name in ("anna", "boris")]
        self.is_over = threading.Event()
        self.errors: list[str] = []
        self.processes_read: set[int] = set()

    def read_as_visitor(self, process: int) -> None:
        visitor = self.web[process].visitor()
        while not self.is_over.is_set():
            path = random.choice(PUBLIC_PATHS)
            saved = self.author.saved
            text = visitor.get(path).text
            found = find_versions(text)
            self.processes_read.add(process)
            if len(found) != 1 or not saved <= found.copy().pop() <= self.author.started:
                self.errors.append(
                    f"{path} in process {process} shows {found} after version {saved} was saved"
                )
            if "ecret" in text:
                self.errors.append(f"{path} in process {process} showed a secret to a visitor")

    def read_as_user(self, number: int) -> None:
        own_name, other_name = self.users[number].name, self.users[1 - number].name
        browsers = [sign_in(process, self.users[number]) for process in self.web]
        while not self.is_over.is_set():
            saved = self.author.saved
            path = random.choice(("/", "/blog/", "/blog/first"))
            text = random.choice(browsers).get(path).text
            if own_name not in text or other_name in text:
                self.errors.append(f"{path} for {own_name} shows another user's data")
            if path != "/" and min(find_versions(text), default=-1) < saved:
                self.errors.append(
                    f"{path} for {own_name} shows {find_versions(text)} after version {saved} was saved"
                )

    def empty_redis(self, redis_server: RedisServer) -> None:
        while not self.is_over.is_set():
            time.sleep(random.uniform(0, 1))
            redis_server.client.flushall()


def test_concurrent_edits_cause_no_stale_or_foreign_pages(
    web: list[WebProcess], redis_server: RedisServer
) -> None:
    """Visitors, users and an author use both processes, while Redis is emptied repeatedly."""
    author = Author(web)
    readers = Readers(web, author)
    threads = [threading.Thread(target=readers.read_as_visitor, args=(process,)) for process in (0, 1)]
    threads += [threading.Thread(target=readers.read_as_user, args=(number,)) for number in (0, 1)]
    threads.append(threading.Thread(target=readers.empty_redis, args=(redis_server,)))
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        while time.monotonic() < deadline or author.saved < EDITS:
            author.edit(author.started % 2)
    finally:
        readers.is_over.set()
        for thread in threads:
            thread.join()

    assert readers.errors == []
    assert readers.processes_read == {0, 1}
