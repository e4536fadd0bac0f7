"""Simulate the mailboxes of a mailing's recipients: what people and machines request, and when.

Times, user agents and shares come from public reports about mail gateways and image proxies; half of the
gateways follow links later than 43 seconds after sending. The truth is known, so counts can be compared.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from skymailing.tracking.hits import TRACKING_IMAGE

LINKS = 9
HOUR = 3600.0
WEBKIT = "(KHTML, like Gecko)"
BROWSERS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {WEBKIT} Version/17.5 "
    "Safari/605.1.15",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {WEBKIT} Chrome/125.0.0.0 Safari/537.36 "
    "Edg/125.0.0.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {WEBKIT} Chrome/124.0.0.0 "
    "YaBrowser/24.6.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
)
PHONES = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 {WEBKIT} Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 {WEBKIT} GSA/320.0 "
    "Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 {WEBKIT} Chrome/126.0.0.0 Mobile "
    "Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 13; 22101316G; wv) AppleWebKit/537.36 {WEBKIT} Version/4.0 "
    "Chrome/125.0.0.0 Mobile Safari/537.36",
)
# Gateways identify themselves as browsers.
GATEWAYS = (
    # Barracuda
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {WEBKIT} Chrome/84.0.4147 Safari/537.36",
    # Mimecast
    "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
    # Proofpoint
    f"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 {WEBKIT} Chrome/93.0.4577 Safari/537.36",
    # Microsoft
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {WEBKIT} Chrome/120.0.0.0 Safari/537.36 "
    "Edg/120.0.0.0",
)
CHECKERS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Google-Safety; +http://www.google.com/bot.html)",
    "python-requests/2.31.0",
    "Go-http-client/2.0",
    "facebookexternalhit/1.1",
    "",
)
PROXIES = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0 (compatible; YandexImageResizer/2.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko; Mail.Ru) Chrome/98.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17726; Pro)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.6.0",
)
APPLE = ("Mozilla/5.0", f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {WEBKIT}")


@dataclass(order=True, slots=True)
class Visit:
    """A request for a letter's link or tracking image, some seconds after the mailing began."""

    at: float
    letter: int
    number: int
    agent: str = field(compare=False)
    method: str = field(default="GET", compare=False)
    purpose: str = field(default="", compare=False)  # Sec-Purpose


@dataclass(slots=True)
class Truth:
    """The true numbers of people who followed any link, followed each link, and opened their letters."""

    people: int = 0
    by_link: Counter[int] = field(default_factory=Counter)
    opened: int = 0
    scans: list[tuple[float, float, int]] = field(default_factory=list)  # start, end and letter


class Mailboxes:
    """Recipients and their gateways, reproducible from the seed."""

    def __init__(self, letters: Sequence[int], seed: int) -> None:
        self.random = Random(seed)
        self.truth = Truth()
        self.visits: list[Visit] = []
        for letter in letters:
            self.receive(letter, sent_at=self.random.uniform(0, 60))
        self.visits.sort()

    def receive(self, letter: int, sent_at: float) -> None:
        """Simulate what machines and the recipient do with a letter."""
        has_apple = self.random.random() < 0.25
        if has_apple:  # loads all images in advance
            self.visit(
                sent_at + self.random.uniform(1, 600), letter, TRACKING_IMAGE, self.random.choice(APPLE)
            )
        if self.random.random() < 0.25:
            self.scan(letter, sent_at)
        if self.random.random() < 0.06:
            self.check(letter, sent_at)
        if self.random.random() < 0.04:  # a browser that loads pages in advance
            at = sent_at + self.random.uniform(30, HOUR)
            number = self.random.randint(1, LINKS)
            self.visit(at, letter, number, self.random.choice(BROWSERS), purpose="prefetch;prerender")
        clicks, opens = self.random.random() < 0.3, self.random.random()
        at = sent_at + max(90.0, self.random.lognormvariate(8.2, 1.2))  # median: an hour
        if clicks:
            self.click(letter, at)
        if not has_apple and opens < (0.85 if clicks else 0.25):
            self.open(letter, at - self.random.uniform(3, 30))

    def scan(self, letter: int, sent_at: float) -> None:
        """Follow all links as a gateway does: mostly in less than a second, and some of them twice."""
        start = sent_at + self.random.lognormvariate(3.76, 0.6)  # median: 43 seconds
        duration, agent = self.random.uniform(0.15, 0.9), self.random.choice(GATEWAYS)
        if self.random.random() < 0.05:  # under load
            duration *= 4
        numbers = list(range(1, LINKS + 1))
        if self.random.random() < 0.3:
            self.random.shuffle(numbers)
        if self.random.random() < 0.4:
            self.visit(start, letter, TRACKING_IMAGE, agent)
        for place, number in enumerate(numbers):
            at = start + duration * place / LINKS
            if self.random.random() < 0.2:
                self.visit(at, letter, number, agent, method="HEAD")
            self.visit(at + 0.01, letter, number, agent)
        if self.random.random() < 0.1:
            again = start + self.random.uniform(60, HOUR)
            for place, number in enumerate(numbers):
                self.visit(again + duration * place / LINKS, letter, number, agent)
        self.truth.scans.append((start, start + duration, letter))

    def check(self, letter: int, sent_at: float) -> None:
        """Check one or two links, as messengers and safety checks do, with their own names."""
        at, agent = sent_at + self.random.uniform(1, 2 * HOUR), self.random.choice(CHECKERS)
        for number in self.random.sample(range(1, LINKS + 1), self.random.randint(1, 2)):
            self.visit(at, letter, number, agent)

    def click(self, letter: int, at: float) -> None:
        """Follow one to three links as a person does."""
        agent = self.random.choice(self.random.choice((BROWSERS, PHONES)))
        numbers = self.random.sample(range(1, LINKS + 1), self.random.choices((1, 2, 3), (6, 3, 1))[0])
        for place, number in enumerate(numbers):
            self.visit(at, letter, number, agent)
            if self.random.random() < 0.1:  # a double click
                self.visit(at + 0.2, letter, number, agent)
            if self.random.random() < 0.1:
                self.visit(at + self.random.uniform(5, 60), letter, number, agent)  # reloads the page
            is_quick = place == 0 and self.random.random() < 0.15
            at += self.random.uniform(0.4, 1.5) if is_quick else max(3.0, self.random.lognormvariate(4, 2))
            self.truth.by_link[number] += 1
        self.truth.people += 1

    def open(self, letter: int, at: float) -> None:
        """Open a letter, once or more."""
        agent = self.random.choice((*PROXIES, *BROWSERS[:2], PHONES[2]))
        for _time in range(self.random.choices((1, 2, 3), (7, 2, 1))[0]):
            self.visit(at, letter, TRACKING_IMAGE, agent)
            at += self.random.uniform(60, 24 * HOUR)
        self.truth.opened += 1

    def visit(
        self, at: float, letter: int, number: int, agent: str, *, method: str = "GET", purpose: str = ""
    ) -> None:
        self.visits.append(Visit(at, letter, number, agent, method, purpose))
