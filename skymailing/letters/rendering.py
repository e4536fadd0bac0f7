"""Render transactional letters again, as their recipients received them."""

from skymailing.delivery.rendering.letter import CompiledContent, Recipient, Rendered
from skymailing.delivery.rendering.transactional import make_content, make_letter_values
from skymailing.delivery.rendering.values import ValueFormats, make_clock
from skymailing.models import TransactionalLetter


def render_letter(letter: TransactionalLetter, formats: ValueFormats) -> Rendered:
    """Render a letter as of the time at which it was added; raises TemplateError."""
    content = letter.content
    compiled = CompiledContent(
        make_content(content.subject, content.format, content.body, content.language), formats
    )
    recipient = Recipient(letter.delivery.email, letter.name, letter.values)
    values = make_letter_values(recipient, letter.delivery.run.sender_name, compiled.readers)
    return compiled.render(values | make_clock(letter.created_at))
