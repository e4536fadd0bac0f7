"""Compare the rendering time per letter of our renderer with that of email.message.

    python -m bench.render

A letter is about 4 KB, with Cyrillic text and HTML parts and personal values. Both render the same compiled
Liquid templates. Only the ratio is comparable between machines.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from flask import Flask

from bench.letters import BODY, CITY, SUBJECT
from bench.rows import Row, Sizes
from bench.testbed import Testbed
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.delivery.rendering.content import compile_content
from skymailing.delivery.rendering.dkim import KEY_BITS, Signer
from skymailing.delivery.rendering.letter import (
    Content,
    LetterTemplate,
    Recipient,
    Sender,
    make_values,
)
from skymailing.delivery.rendering.liquid import render
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.delivery.rendering.tracked_links import Tracking
from skymailing.models import MessageFormat

CONDITIONAL_BODY = BODY.replace("{{ name }}", '{{ name | default: "друг" }}', 1).replace(
    "Ждём", "{% if client.city %}Ждём{% else %}Приходите{% endif %}"
)
SENDER = Sender("ООО «Небо»", "letters@sky.example", "owner@example.com")
KEY = b"k" * 32
ROUNDS, ROUND_LETTERS = 2_000, 20  # with and without tracking
MAX_TRACKING = 1.05
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def make_recipient(number: int) -> Recipient:
    return Recipient(f"client{number}@example.org", f"Клиент {number}", {"city": CITY})


def measure(build: Callable[[int], bytes], count: int) -> tuple[float, int]:
    """Return milliseconds per letter (the best of five rounds) and the size of one letter in bytes."""
    size = len(build(0))
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for number in range(count):
            build(number)
        rounds.append((time.perf_counter() - start) / count * 1000)
    return min(rounds), size


def make_our_builder(
    content: Content, signer: Signer | None = None, *, has_tracking: bool = False
) -> Callable[[int], bytes]:
    sender = replace(SENDER, signer=signer)
    run = RunIdentity(uuid4(), KEY, tracking=make_tracking() if has_tracking else None)
    template = LetterTemplate(content, sender, run, "mailing-1.sky.example")
    return lambda number: template.render(
        number, make_recipient(number), f"https://sky.example/u/{number}-token", NOW
    )


def make_tracking() -> Tracking:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "x" * 40
    with app.app_context():
        signer = ClickSigner(1, uuid4())
    return Tracking(signer, "https://sky.example", lambda links: range(1, len(links) + 1))


def tracking(_testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Render letters with ten links with tracking and without."""
    ratio = compare_tracking()
    what = "rendering ten tracked links, compared with links that are not tracked"
    yield Row(
        what, f"{ratio:.3f} x", f"<= {MAX_TRACKING} x", "1.03 x", ratio <= MAX_TRACKING, {"ratio": ratio}
    )


def compare_tracking() -> float:
    """Return how many times longer a letter with ten links takes to render with tracking than without.

    The original links are as long as the tracked ones, so both letters have the same size. Because other
    programs slow down a shared machine, rounds are short and alternate, and the fastest ones are compared.
    """
    url = "https://shop.example/catalogue/{}?utm_source=mailing{}"
    links = "".join(f"\n\n[Ссылка {n}]({url.format(n, n)})" for n in range(10))
    content = Content(SUBJECT, MessageFormat.MARKDOWN, BODY + links)
    builders = [make_our_builder(content, has_tracking=has_tracking) for has_tracking in (False, True)]
    times: list[list[float]] = [[], []]
    for number in range(2 * ROUNDS):
        # The order alternates.
        for place in (0, 1) if number % 2 else (1, 0):
            start = time.process_time()
            for delivery in range(ROUND_LETTERS):
                builders[place](delivery)
            times[place].append(time.process_time() - start)
    plain, tracked = (sorted(each)[len(each) // 20] for each in times)
    return tracked / plain


def make_standard_builder(content: Content) -> Callable[[int], bytes]:
    compiled = compile_content(content)
    run = RunIdentity(uuid4())

    def build(number: int) -> bytes:
        person = make_recipient(number)
        url = f"https://sky.example/u/{number}-token"
        values = make_values(person, SENDER.name, url)
        letter = EmailMessage(policy.SMTP)
        letter["From"] = Address(SENDER.name, addr_spec=SENDER.address)
        letter["Reply-To"] = SENDER.reply_to
        letter["To"] = Address(person.name, addr_spec=person.email)
        letter["Subject"] = render(compiled.subject, values)
        letter["Date"] = format_datetime(NOW)
        letter["Message-ID"] = run.make_message_id(number, "sky.example")
        letter["List-Unsubscribe"] = f"<{url}>"
        letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        letter["List-Id"] = "<mailing-1.sky.example>"
        letter["Precedence"] = "bulk"
        letter.set_content(render(compiled.text, values), cte="base64")
        if compiled.html is not None:
            letter.add_alternative(render(compiled.html, values), subtype="html", cte="base64")
        return letter.as_bytes()

    return build


def main() -> None:
    print("| letter | bytes | ours, ms | signed by us (DKIM), ms | email.message, ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    signer = Signer("sky.example", "sky1", generate_private_key(65537, KEY_BITS))
    for name, body in (("values only", BODY), ("with a filter and a condition", CONDITIONAL_BODY)):
        content = Content(SUBJECT, MessageFormat.MARKDOWN, body)
        ours, size = measure(make_our_builder(content), 2000)
        signed, _ = measure(make_our_builder(content, signer), 200)
        standard, _ = measure(make_standard_builder(content), 200)
        ratio = standard / ours
        print(f"| {name} | {size} | {ours:.4f} | {signed:.3f} | {standard:.3f} | {ratio:.1f} |")
    print(f"\nTen tracked links: {compare_tracking():.2f} x the time (required: <= {MAX_TRACKING} x)")


ROWS = {"tracked-links": tracking}

if __name__ == "__main__":
    main()
