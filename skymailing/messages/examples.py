"""Letters to start from, in the languages that the service speaks."""

from typing import TypedDict

from flask_babel import gettext as _

from skymailing.models import MessageFormat


class Example(TypedDict):
    """The fields of the form, filled."""

    subject: str
    format: str
    body: str


NEWSLETTER_EN = """\
# News of the month

Hello, {{ name | default: "friend" }}!

Here is what is new with us:

- **First.** A sentence or two about it.
- **Second.** [Read more](https://example.com/).

{% if client.city %}We look forward to seeing you in {{ client.city }}.{% endif %}

{{ sender_name }}

[Unsubscribe]({{ unsubscribe_url }})
"""
NEWSLETTER_RU = """\
# Новости месяца

Здравствуйте, {{ name | default: "друзья" }}!

Что у нас нового:

- **Первое.** Одно-два предложения.
- **Второе.** [Читать дальше](https://example.com/).

{% if client.city %}Ждём вас в городе {{ client.city }}.{% endif %}

{{ sender_name }}

[Отписаться]({{ unsubscribe_url }})
"""
INVITATION_EN = """\
# You are invited

Dear {{ name | default: "guest" }},

we would be glad to see you at our open day.

**When:** Friday, 19:00
**Where:** 1 Example Street

[I will come](https://example.com/)

{{ sender_name }}
"""
INVITATION_RU = """\
# Приглашаем вас

Здравствуйте, {{ name | default: "дорогой гость" }}!

Будем рады видеть вас на дне открытых дверей.

**Когда:** пятница, 19:00
**Где:** ул. Примерная, 1

[Я приду](https://example.com/)

{{ sender_name }}
"""
LETTER_EN = """\
Hello, {{ name | default: "dear client" }}!

Write here as you would to one person.

Kind regards,
{{ sender_name }}
"""
LETTER_RU = """\
Здравствуйте, {{ name | default: "уважаемый клиент" }}!

Напишите здесь так, как написали бы одному человеку.

С уважением,
{{ sender_name }}
"""

EXAMPLES: dict[str, dict[str, Example]] = {
    "newsletter": {
        "en": Example(subject="News of the month", format=MessageFormat.MARKDOWN, body=NEWSLETTER_EN),
        "ru": Example(subject="Новости месяца", format=MessageFormat.MARKDOWN, body=NEWSLETTER_RU),
    },
    "invitation": {
        "en": Example(
            subject="{{ name }}, you are invited", format=MessageFormat.MARKDOWN, body=INVITATION_EN
        ),
        "ru": Example(
            subject="{{ name }}, приглашаем вас", format=MessageFormat.MARKDOWN, body=INVITATION_RU
        ),
    },
    "letter": {
        "en": Example(subject="A word to you", format=MessageFormat.TEXT, body=LETTER_EN),
        "ru": Example(subject="Несколько слов", format=MessageFormat.TEXT, body=LETTER_RU),
    },
}


def get_example(key: str, language: str) -> Example | None:
    """Return an example in a language, else in English; None when there is no such example."""
    languages = EXAMPLES.get(key, {})
    return languages.get(language) or languages.get("en")


def list_examples() -> list[tuple[str, str]]:
    """Return keys and names of the examples."""
    return [("newsletter", _("Newsletter")), ("invitation", _("Invitation")), ("letter", _("Plain letter"))]
