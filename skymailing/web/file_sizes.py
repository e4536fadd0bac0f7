"""Format the sizes of files for people."""

from flask_babel import format_decimal
from flask_babel import gettext as _

STEP = 1024


def file_size(count: float) -> str:
    """Return a number of bytes in a readable unit, such as "1.4 MB"."""
    # Not a loop over units, because each text has to be a literal to be translated.
    if count < STEP:
        return str(_("%(size)s bytes", size=format_decimal(count)))
    if count < STEP**2:
        return str(_("%(size)s KB", size=_round(count / STEP)))
    if count < STEP**3:
        return str(_("%(size)s MB", size=_round(count / STEP**2)))
    return str(_("%(size)s GB", size=_round(count / STEP**3)))


def _round(number: float) -> str:
    """Return a number with one decimal place if it is small."""
    return str(format_decimal(round(number, 1) if number < 10 else round(number)))
