"""Write the code that owners paste into their website, and draw the QR code of a form's page."""

import segno
from flask import current_app
from flask_babel import force_locale
from markupsafe import Markup

from skymailing.models import SignupForm
from skymailing.signup.fields import list_fields
from skymailing.signup.texts import read_texts
from skymailing.web.urls import public_url

PIXELS = 10  # per dot of the QR code


def form_url(form: SignupForm) -> str:
    """Return the URL of a form's public page."""
    return public_url("signup.show", uuid=form.uuid)


def write_snippet(form: SignupForm) -> str:
    """Return a form in plain HTML, which works on any website without JavaScript."""
    with force_locale(form.language):
        template = current_app.jinja_env.get_template("forms/snippet.html")
        return template.render(
            form=form, fields=list_fields(form), texts=read_texts(form), url=form_url(form)
        ).strip()


def draw_code(url: str) -> tuple[Markup, str]:
    """Return a QR code as SVG for the page, and as the data: URL of a PNG image to download."""
    code = segno.make(url, error="m", micro=False)
    drawing = code.svg_inline(scale=4, border=2, dark="#000", light="#fff", omitsize=True)
    markup = Markup(drawing)  # noqa: S704 - segno draws dots; the markup contains no part of the text
    return markup, code.png_data_uri(scale=PIXELS, border=4)
