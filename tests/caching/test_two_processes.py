"""Two real web processes on one database and Redis: no page is old, and none is somebody else's."""

import random
import re
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import Article, MailingState, Role, User
from tests.caching.web_process import WebProcess
from tests.journey.visitor import Visitor
from tests.support.factories import PASSWORD, ArticleFactory, MailingFactory, UserFactory
from tests.support.servers import RedisServer

VERSION = re.compile(r"version-(\d+)")
PUBLIC = ("/", "/blog/", "/blog/first", "/blog/feed.atom")
SECONDS = 4.0


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
    """Two web processes that share nothing but the database, empty at the start, and Redis."""
    return running


def signed_in(web: WebProcess, user: User) -> Visitor:
    browser = web.visitor()
    browser.submit(browser.get("/auth/login"), email=user.email, password=PASSWORD)
    return browser


class Author:
    """Edits one article through the panel, now at this process, now at that."""

    def __init__(self, web: list[WebProcess]) -> None:
        user = UserFactory.create(role=Role.CONTENT)
        self.article: Article = ArticleFactory.create(slug="first", title="version-0", summary="version-0")
        self.browsers = [signed_in(process, user) for process in web]
        self.saved = 0  # the version whose saving was answered
        self.begun = 0

    def edit(self, process: int) -> None:
        """Save the next version at one of the processes."""
        self.begun += 1
        text = f"version-{self.begun}"
        browser = self.browsers[process]
        form = browser.get(f"/manager/articles/{self.article.id}/edit")
        page = browser.submit(form, title=text, summary=text, body=f"It is {text}.", slug="first")
        assert page.status == 200
        assert "Article saved." in page.text
        self.saved = self.begun


def versions(text: str) -> set[int]:
    return {int(number) for number in VERSION.findall(text)}


def test_an_edit_at_one_process_is_all_that_the_other_shows(
    web: list[WebProcess], redis_server: RedisServer
) -> None:
    author = Author(web)
    visitors = [process.visitor() for process in web]
    for number in range(6):
        for visitor in visitors:
            for path in PUBLIC:
                for _ in range(10):  # so that each of the home page's variants is kept
                    assert versions(visitor.get(path).text) == {author.saved}, path
        if number == 3:
            redis_server.client.flushall()
        author.edit(number % 2)
        if number == 4:
            redis_server.client.flushall()


def test_two_people_and_a_visitor_each_see_their_own(web: list[WebProcess]) -> None:
    people = [
        UserFactory.create(name=f"Secret {name}", email=f"{name}-secret@example.com")
        for name in ("anna", "boris")
    ]
    for person in people:
        MailingFactory.create(owner=person, name=f"Plan of {person.name}", state=MailingState.RUNNING)
    ArticleFactory.create(slug="first")
    browsers = [[signed_in(process, person) for process in web] for person in people]
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


def test_nothing_old_or_foreign_is_read_while_all_happens_at_once(
    web: list[WebProcess], redis_server: RedisServer
) -> None:
    """Readers, people with accounts and an author at both processes; Redis is emptied again and again."""
    author = Author(web)
    people = [UserFactory.create(name=f"Secret {name}") for name in ("anna", "boris")]
    wrong: list[str] = []
    reads: list[int] = []
    until = time.monotonic() + SECONDS

    def read(process: int) -> None:
        visitor = web[process].visitor()
        while time.monotonic() < until:
            path = random.choice(PUBLIC)
            saved = author.saved
            text = visitor.get(path).text
            shown = versions(text)
            reads.append(process)
            if len(shown) != 1 or not saved <= shown.copy().pop() <= author.begun:
                wrong.append(f"{path} at {process}: {shown} when {saved} was saved")
            if "ecret" in text:
                wrong.append(f"{path} at {process} told a visitor a secret")

    def look_at_own(number: int) -> None:
        mine, other = people[number].name, people[1 - number].name
        browsers = [signed_in(process, people[number]) for process in web]
        while time.monotonic() < until:
            saved = author.saved
            path = random.choice(("/", "/blog/", "/blog/first"))
            text = random.choice(browsers).get(path).text
            if mine not in text or other in text:
                wrong.append(f"{path} of {mine} is not theirs")
            if path != "/" and min(versions(text), default=-1) < saved:
                wrong.append(f"{path} of {mine} shows {versions(text)} when {saved} was saved")

    def empty_redis() -> None:
        while time.monotonic() < until:
            time.sleep(random.uniform(0, 1))
            redis_server.client.flushall()

    threads = [threading.Thread(target=read, args=(process,)) for process in (0, 1)]
    threads += [threading.Thread(target=look_at_own, args=(number,)) for number in (0, 1)]
    threads.append(threading.Thread(target=empty_redis))
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        author.edit(author.begun % 2)
    for thread in threads:
        thread.join()

    assert wrong == []
    assert set(reads) == {0, 1}
    assert author.saved > 3
