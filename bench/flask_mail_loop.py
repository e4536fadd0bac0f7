"""Send letters as a plain Flask app does: one Flask-Mail connection, one letter at a time, no records.

    python -m bench.flask_mail_loop PORT COUNT

Prints the time in seconds. The letters are the same as in the sending rows.
"""

import sys
import time

from flask import Flask
from flask_mail import Mail, Message
from jinja2 import Environment

from bench.letters import BODY, CITY, SUBJECT
from skymailing.delivery.rendering.letter import Content, Recipient, preview
from skymailing.models import MessageFormat


def main(port: int, count: int) -> float:
    """Send `count` letters; return the time in seconds."""
    app = Flask(__name__)
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_DEFAULT_SENDER="letters@sky.example")
    mail = Mail(app)
    # Rendered with Jinja placeholders as values, our letter becomes a Jinja template.
    placeholders = Recipient("{{ email }}", "{{ name }}", {"city": "{{ city }}"})
    letter = preview(
        Content(SUBJECT, MessageFormat.MARKDOWN, BODY),
        placeholders,
        unsubscribe_url="{{ unsubscribe_url }}",
    )
    jinja = Environment(autoescape=True)
    subject, text, html = (jinja.from_string(part) for part in (letter.subject, letter.text, letter.html))
    start = time.perf_counter()
    with app.app_context(), mail.connect() as connection:
        for number in range(count):
            values = {
                "email": f"client{number}@example.org",
                "name": f"Клиент {number}",
                "city": CITY,
                "unsubscribe_url": f"https://sky.example/u/{number}",
            }
            connection.send(
                Message(
                    subject.render(values),
                    recipients=[values["email"]],
                    body=text.render(values),
                    html=html.render(values),
                )
            )
    return time.perf_counter() - start


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2])))
