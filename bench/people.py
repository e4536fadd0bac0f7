"""Simulate people who use the site: python -m bench.people PORT SECONDS THINK_TIME.

Reads a JSON list of session cookies from standard input. For each one, a signed-in person visits lists and
live pages, searches and saves forms, with about THINK_TIME seconds between requests. Prints a JSON list of
requests: start time (seconds since 1970), response time in milliseconds, status (0 if there was no response)
and kind.
"""

import http.client
import json
import random
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

TIMEOUT = 30.0  # seconds
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
MAILING = re.compile(r'href="/mailings/(\d+)"')
POLLS = 3  # how often a live page is refreshed during a visit
PageRequest = tuple[float, float, int, str]


@dataclass
class Person:
    """A signed-in person with one browser connection."""

    number: int
    port: int
    cookie: str
    think_time: float  # average, in seconds
    ends_at: float  # seconds since 1970
    requests: list[PageRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.number)
        self.connection: http.client.HTTPConnection | None = None
        self.saved = 0

    def browse(self) -> None:
        """Visit pages until `ends_at`."""
        time.sleep(self.rng.uniform(0, self.think_time))
        while time.time() < self.ends_at:
            self.visit_pages()

    def visit_pages(self) -> None:
        self.get("home page", "/")
        self.get("clients", "/clients/")
        self.get("search", "/clients/?q=client7")
        self.save_client()
        mailings = self.get("mailings", "/mailings/")
        if found := MAILING.search(mailings):
            path = f"/mailings/{found[1]}"
            self.get("mailing", path)
            for _ in range(POLLS):
                self.get("live", f"{path}/progress")
            self.get("log", f"{path}/log")
        self.get("all logs", "/logs/")
        self.get("messages", "/messages/")
        self.get("form", "/mailings/new")

    def save_client(self) -> None:
        token = TOKEN.search(self.get("form", "/clients/new"))
        if token is None:
            return
        self.saved += 1
        email = f"new-{self.number}-{self.saved}-{int(time.time())}@example.org"
        values = {"csrf_token": token[1], "email": email, "full_name": "Новый клиент", "comment": ""}
        self.measure("saving", "POST", "/clients/new", urlencode(values))
        self.get("clients", "/clients/")

    def get(self, kind: str, path: str) -> str:
        return self.measure(kind, "GET", path)

    def measure(self, kind: str, method: str, path: str, body: str | None = None) -> str:
        """Send a request, record its response time and pause; return the response's text."""
        if time.time() > self.ends_at:
            return ""
        started_at, timer_start = time.time(), time.perf_counter()
        status, text = self.request(method, path, body)
        self.requests.append((started_at, (time.perf_counter() - timer_start) * 1000, status, kind))
        time.sleep(self.rng.uniform(0.5, 1.5) * self.think_time)
        return text

    def request(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        headers = {"Cookie": self.cookie, "Accept": "text/html", "Accept-Language": "ru"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            # The service requires this header, which browsers send, because its public URL is https.
            headers["Referer"] = f"https://127.0.0.1:{self.port}{path}"
        for is_last in (False, True):
            is_fresh = self.connection is None
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
            try:
                self.connection.request(method, path, body, headers)
                response = self.connection.getresponse()
                text = response.read().decode(errors="replace")
                self.store_cookie(response.headers.get_all("Set-Cookie") or [])
                if response.will_close:
                    self.disconnect()
                return response.status, text
            except (OSError, http.client.HTTPException):
                self.disconnect()
                # As browsers do, retry on a new connection if the server has closed an idle one.
                if is_fresh or is_last:
                    break
        return 0, ""

    def store_cookie(self, cookies: list[str]) -> None:
        for cookie in cookies:
            if cookie.partition("=")[0] == self.cookie.partition("=")[0]:
                self.cookie = cookie.partition(";")[0]

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def run(port: int, seconds: float, think_time: float, cookies: list[str]) -> list[PageRequest]:
    """Simulate one person for each cookie; return all requests."""
    ends_at = time.time() + seconds
    people = [Person(number, port, cookie, think_time, ends_at) for number, cookie in enumerate(cookies)]
    threads = [threading.Thread(target=person.browse) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(request for person in people for request in person.requests)


if __name__ == "__main__":
    _, port, seconds, think_time = sys.argv
    print(json.dumps(run(int(port), float(seconds), float(think_time), json.load(sys.stdin))))
