"""The messages of the example account, a pottery that sells mugs, plates and evening courses."""

from dataclasses import dataclass

from skymailing.models import MessageFormat


@dataclass(frozen=True)
class Text:
    """A message with a short key that mailings use to refer to it."""

    key: str
    subject: str
    format: MessageFormat
    body: str


MESSAGES = (
    Text(
        "autumn",
        "{{ name }}, осенняя коллекция уже на полках",
        MessageFormat.MARKDOWN,
        """# Здравствуйте, {{ name }}!

Мы достали из печи **осеннюю коллекцию**: кружки с медовой глазурью, глубокие миски для супа
и подсвечники, которые не боятся сквозняка.

- Кружка «Октябрь» — 1 200 ₽
- Миска «Тыква» — 1 650 ₽
- Подсвечник «Фонарщик» — 980 ₽

{% if client.city %}Доставим в город {{ client.city }} за три дня.{% endif %}
На вашем счету **{{ client.bonus }}** бонусов: ими можно оплатить до половины заказа.

[Посмотреть коллекцию](https://www.example.com/osen)

Ваша мастерская «Глина и свет»

[Отписаться]({{ unsubscribe_url }})
""",
    ),
    Text(
        "digest",
        "Clay & Light weekly: what came out of the kiln",
        MessageFormat.MARKDOWN,
        """# Good morning, {{ name }}

Three things from our workshop this week:

1. **The blue plates are back.** We fired forty; the last batch sold out in two days.
2. **Open evening on Friday.** Come and throw your first bowl, tea included.
3. **A question.** Handles: round or flat? Just reply to this email.

[See what is new](https://www.example.com/new)

[Unsubscribe]({{ unsubscribe_url }})
""",
    ),
    Text(
        "course",
        "Вечерний курс гончарного дела: осталось шесть мест",
        MessageFormat.HTML,
        """<h1>Здравствуйте, {{ name }}!</h1>
<p>С понедельника начинаем <strong>вечерний курс</strong>: восемь занятий, круг и печь для каждого.</p>
<table>
  <tr><th>Когда</th><td>по понедельникам, 19:00</td></tr>
  <tr><th>Где</th><td>мастерская «Глина и свет»</td></tr>
  <tr><th>Сколько</th><td>9 600 ₽ за курс, глина и обжиг включены</td></tr>
</table>
<p><a href="https://www.example.com/kurs">Записаться на курс</a></p>
<p><a href="{{ unsubscribe_url }}">Отписаться</a></p>
""",
    ),
    Text(
        "sale",
        "{{ name }}, 15% off for the winter fair",
        MessageFormat.HTML,
        """<h1>Hello {{ name }},</h1>
<p>We are packing our boxes for the <em>winter fair</em>. Order before the first of December
and take <strong>15%</strong> off everything glazed.</p>
<p><a href="https://www.example.com/fair">Visit the fair</a></p>
<p>Clay &amp; Light</p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
""",
    ),
    Text(
        "hours",
        "Мастерская закрыта в понедельник",
        MessageFormat.TEXT,
        """Здравствуйте, {{ name }}!

В понедельник у нас меняют печь, поэтому мастерская и магазин закрыты.
Во вторник работаем как обычно, с 11:00 до 20:00.

Если ваш заказ готов, мы напишем отдельно.

Мастерская «Глина и свет»

Отписаться: {{ unsubscribe_url }}
""",
    ),
    Text(
        "review",
        "How is your mug doing?",
        MessageFormat.TEXT,
        """Hello {{ name }},

A month ago, we sent a parcel to {{ client.city }}. Did everything arrive in one piece?
If something chipped, reply with a photo and we will send another.

And if you like what you have: two lines from you would help us more than any advertisement.

Clay & Light

Unsubscribe: {{ unsubscribe_url }}
""",
    ),
)
