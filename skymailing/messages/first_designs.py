"""The initial content of new messages made of blocks or written in MJML."""

from typing import Any

from skymailing.delivery.composition.composing import write_design
from skymailing.delivery.composition.document import VERSION
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.models import MessageFormat, SourceFormat

WORDS = {
    "en": {
        "title": 'Hello, {{ name | default: "friend" }}!',
        "text": "Write your news here.",
        "button": "Learn more",
        "unsubscribe": "Unsubscribe",
    },
    "ru": {
        "title": 'Здравствуйте, {{ name | default: "друг" }}!',
        "text": "Здесь напишите свои новости.",
        "button": "Подробнее",
        "unsubscribe": "Отписаться",
    },
}
MJML = """\
<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text font-size="28px">{title}</mj-text>
        <mj-text font-size="16px" line-height="1.5">{text}</mj-text>
        <mj-text color="#6b7480"><a href="{{{{ unsubscribe_url }}}}">{unsubscribe}</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""


def make_first_design(
    source_format: SourceFormat, language: str, *, has_layout: bool = False
) -> dict[str, str]:
    """Return the form's fields of a new composed message, in the language of the page.

    With a layout, it has neither a logo nor a footer.
    """
    language = language if language in LANGUAGES else "en"
    words = WORDS[language]
    is_mjml = source_format is SourceFormat.MJML
    source = MJML.format_map(words) if is_mjml else write_design(make_blocks(words, has_layout=has_layout))
    return {
        "subject": "",
        "format": MessageFormat.HTML.value,
        "language": language,
        "source_format": source_format.value,
        "source": source,
    }


def make_blocks(words: dict[str, str], *, has_layout: bool) -> dict[str, Any]:
    blocks = [
        {"id": "logo", "type": "logo"},
        {"id": "title", "type": "heading", "text": words["title"]},
        {"id": "text", "type": "text", "delta": {"ops": [{"insert": f"{words['text']}\n"}]}},
        {"id": "button", "type": "button", "text": words["button"], "url": ""},
        {"id": "footer", "type": "footer", "text": "{{ sender_name }}"},
    ]
    return {"version": VERSION, "settings": {}, "blocks": blocks[1:-1] if has_layout else blocks}
