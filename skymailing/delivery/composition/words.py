"""The words that blocks add to a letter, in the language of the message."""

from skymailing.delivery.rendering.footer import LABELS

UNSUBSCRIBE = LABELS
PREFERENCES = {"en": "Choose topics", "ru": "Выбрать темы"}
BROWSER = {"en": "View in browser", "ru": "Открыть в браузере"}
WEBSITE = {"en": "Website", "ru": "Сайт"}
EMAIL = {"en": "Email", "ru": "Почта"}
