"""Define five articles for the blog, in Russian and English."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from skymailing.delivery.rendering.languages import guess_language
from skymailing.extensions import db
from skymailing.models import Article, User


@dataclass(frozen=True)
class Piece:
    """An article, and the number of days since its publication."""

    slug: str
    days_ago: int
    views: int
    title: str
    summary: str
    body: str


ARTICLES = (
    Piece(
        "pervaya-rassylka",
        3,
        412,
        "Первая рассылка за пятнадцать минут",
        "Таблица с адресами, одно письмо и время отправки — больше ничего не нужно.",
        """Чтобы отправить первую рассылку, не нужен ни маркетолог, ни программист.

## Соберите адреса

Выгрузите клиентов из кассы, таблицы или почты в файл CSV и загрузите на странице «Клиенты».
Строки с ошибками не потеряются: сервис покажет их номера и причины.

## Напишите письмо

Обращайтесь по имени: `{{ name }}` превратится в имя каждого клиента. Проверьте письмо в
предпросмотре и отправьте тестовое письмо себе.

## Выберите время

Укажите начало и конец. Дальше рассылка уйдёт сама, а журнал покажет ответ почтового сервера
по каждому адресу.
""",
    ),
    Piece(
        "what-sent-really-means",
        9,
        1287,
        "What “sent” really means",
        "Between “sent” and “read” there are three machines. Which one can you trust?",
        """Most services call an email *delivered* as soon as they have sent it. We are stricter.

## Sent

An email is **sent** when the mail server has accepted it with `250 2.0.0 OK`. The log shows this
reply, with one line for every attempt.

## Failed

The server refused the email and would refuse it again: the mailbox does not exist or accepts
no mail.

## Unknown

The connection dropped after the email was sent and before the reply arrived. No one can know whether
it was delivered, so we do not guess. You decide whether to send it again.
""",
    ),
    Piece(
        "imya-v-pisme",
        16,
        655,
        "Имя в письме: как не написать «Уважаемый {{ name }}»",
        "Подстановки делают письмо личным, если заранее подумать о пустых полях.",
        """Письмо с именем открывают охотнее. Но у части клиентов имени в базе нет.

## Что подставится

Если имя не указано, подстановка будет пустой. Поэтому начинайте так, чтобы фраза звучала естественно
и без него:

```
Здравствуйте{% if name %}, {{ name }}{% endif %}!
```

## Любой столбец таблицы

Столбцы, которых мы не знаем, становятся свойствами клиента: город, размер, дата покупки.
В письме они доступны как `{{ client.city }}`.

## Проверьте на трёх клиентах

Откройте предпросмотр для клиента с полной карточкой, с пустой и с самым длинным именем.
""",
    ),
    Piece(
        "keep-a-clean-list",
        24,
        903,
        "Keep a clean list, and your emails will arrive",
        "Four habits that matter more than any subject line.",
        """Mail providers watch how people treat your emails. A clean list is the best protection.

1. **Write only to people who asked.** A bought list also costs you good addresses.
2. **Make unsubscribing easy.** Every email contains an unsubscribe link, and mail programs show a button
   for it. One click is enough.
3. **Let dead addresses go.** When a server says that a mailbox does not exist, we never write to it
   again, not even after an import.
4. **Keep a regular schedule.** A monthly email is expected; one every six months is a surprise.
""",
    ),
    Piece(
        "kogda-otpravlyat",
        33,
        538,
        "Когда отправлять письма",
        "Вторник, десять утра? Разбираемся, что на самом деле влияет на открытия.",
        """Про «лучшее время» написано много, и почти всё — про чужих клиентов.

## Смотрите на своих

Кафе пишет утром, репетитор — вечером, а мастерская — в пятницу, когда люди строят планы на
выходные. Попробуйте два времени и сравните.

## Часовые пояса

Время в форме — ваше местное. Переход на летнее время ничего не сдвинет: девять утра останутся
девятью утра.

## Повторы

Еженедельную рассылку достаточно настроить один раз: каждый выпуск уйдёт в тот же день и час.
""",
    ),
)


def add_articles(author: User, now: datetime) -> None:
    """Add the articles whose address is still free."""
    existing = set(db.session.scalars(select(Article.slug)))
    db.session.add_all(
        Article(
            author=author,
            slug=piece.slug,
            title=piece.title,
            language=guess_language(piece.title),
            summary=piece.summary,
            body=piece.body,
            published_at=now - timedelta(days=piece.days_ago),
            views=piece.views,
        )
        for piece in ARTICLES
        if piece.slug not in existing
    )
