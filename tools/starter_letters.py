"""Write a letter from each starter to a folder, as it would be handed over, for spam filters to score.

    .venv/bin/python tools/starter_letters.py FOLDER

Each letter gets the headers that a receiving mail server adds, so that filters see it as their users do.
"""

import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent))

from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.delivery.rendering.letter import LetterTemplate, Recipient, Sender
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.messages.starters import KEYS
from tests.support.starters import compose_starter

DOMAIN = "mail.example.com"
NAMES = {"en": ("Anna Petrova", "The Clay Shop"), "ru": ("Анна Петрова", "Мастерская «Глина»")}


def main(folder: Path) -> None:
    """Write the letters, named after starter and language."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    for language in LANGUAGES:
        name, sender_name = NAMES[language]
        for number, key in enumerate(KEYS, 1):
            content = compose_starter(key, language, OwnerBrand(sender_name))
            sender = Sender(sender_name, f"news@{DOMAIN}", "owner@example.com", 7, f"unsubscribe@{DOMAIN}")
            template = LetterTemplate(content, sender, RunIdentity(uuid4()), f"mailing-1.{DOMAIN}")
            recipient = Recipient("anna.petrova@example.org", name, {"city": "Riga"})
            letter = template.render(number, recipient, f"https://{DOMAIN}/u/token{number}", now)
            received = (
                f"Received: from {DOMAIN} ({DOMAIN} [93.184.216.34])\r\n"
                f"\tby mx.example.org with ESMTPS id 4f{number}; {format_datetime(now)}\r\n"
            )
            (folder / f"{key}-{language}.eml").write_bytes(received.encode() + letter)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
