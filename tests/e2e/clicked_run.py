"""Create a run with clicks, for the page that shows them."""

from datetime import timedelta
from random import Random

from sqlalchemy import select

from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    MessageFormat,
    RunLink,
    User,
)
from skymailing.tracking.click_counts import to_milliseconds
from tests.e2e.site import Site
from tests.support.factories import MailingFactory, create_run

LETTERS = 60
DOMAINS = ("gmail.com", "gmail.com", "yandex.ru", "yandex.ru", "mail.ru", "outlook.com", "tea.example")
BODY = """<html><body style="font-family: sans-serif"><h1>Весенние чаи</h1>
<p>Здравствуйте, {{ name }}! Новый урожай уже <a href="https://tea.example/spring">в магазине</a>.</p>
<p><a href="https://tea.example/sale" style="display: inline-block; padding: 12px 24px; background: #8a5a12;
color: #fff; text-decoration: none; border-radius: 6px">Купить со скидкой</a></p>
<p><a href="https://tea.example/recipes">Рецепты</a> | <a href="https://tea.example/contacts">Контакты</a></p>
<p><a href="{{ unsubscribe_url }}">Отписаться</a></p></body></html>"""
LINKS = {
    "spring": (21, "в магазине"),
    "sale": (14, "Купить со скидкой"),
    "recipes": (3, "Рецепты"),
    "contacts": (0, "Контакты"),
}


def add_clicked_run(site: Site, owner_id: int) -> int:
    """Add a run with clicks for the owner; return its ID."""
    chance = Random(17)
    with site.open_session() as session:
        mailing = MailingFactory.create(owner=session.get_one(User, owner_id), name="Весенние чаи")
        content = {"format": MessageFormat.HTML, "body": BODY, "subject": "Весенние чаи", "clicked": 30}
        run = create_run(
            mailing, {DeliveryState.SENT: LETTERS}, track_clicks=True, track_opens="person", **content
        )
        for number, (name, (people, label)) in enumerate(LINKS.items(), start=1):
            url = f"https://tea.example/{name}"
            counts = {"people": people, "clicks": people * 5 // 4, "machine_clicks": 9}
            session.add(RunLink(run_id=run.id, number=number, url=url, label=label, **counts))
        letters = session.scalars(select(Delivery).where(Delivery.run_id == run.id).limit(30)).all()
        for letter in letters:
            domain = chance.choice(DOMAINS)
            client = session.get_one(Client, letter.client_id)
            letter.email = letter.email_key = client.email = client.email_key = f"{letter.id}@{domain}"
            at = run.started_at + timedelta(hours=chance.expovariate(0.2))
            about = {"delivery_id": letter.id, "run_id": run.id, "mailing_id": mailing.id}
            opens = {"opened_on": at.date(), "opens": 2, "last_open_at": to_milliseconds(at)}
            session.add(Engagement(clicks=1, first_click_at=to_milliseconds(at), **about, **opens))
        return run.id
