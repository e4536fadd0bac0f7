"""Read and write amounts of money, which are stored in the smallest unit of their currency, such as cents."""

from decimal import Decimal
from functools import cache

from babel.numbers import list_currencies
from flask_babel import format_currency, get_locale

LARGEST = 10**15  # a float, as in programs that read JSON, holds such a number exactly
# The decimals of currencies that do not have two (ISO 4217). Babel has numbers for everyday use instead, such
# as none for HUF, which change from version to version; stored amounts would change with them.
DECIMALS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
DECIMALS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3) | {"CLF": 4, "UYW": 4}


@cache
def is_currency(code: str) -> bool:
    """Return whether a currency has this code (ISO 4217)."""
    return code in list_currencies()


def read_amount(text: str, currency: str) -> int | None:
    """Return an amount such as "1499.90"; None if it is too large or has more decimals than the currency."""
    scaled = Decimal(text).scaleb(_count_decimals(currency))
    is_valid = scaled == scaled.to_integral_value() and scaled <= LARGEST
    return int(scaled) if is_valid else None


def write_amount(amount: int, currency: str) -> str:
    """Return an amount for programs, such as "1499.90"."""
    return f"{_scale(amount, currency):f}"


def money(amount: int, currency: str) -> str:
    """Return an amount in the current language, such as $1,499.90; without cents if there are none."""
    scaled = _scale(amount, currency)
    locale = get_locale()
    assert locale is not None
    is_whole = scaled == scaled.to_integral_value()
    digits = "0" if is_whole else "0." + "0" * _count_decimals(currency)
    pattern = locale.currency_formats["standard"].pattern.replace("0.00", digits)
    text = str(format_currency(scaled, currency, format=pattern, currency_digits=False))
    # A currency without a symbol has its code there, which needs a space.
    return text.replace(currency, f"{currency}\xa0", 1) if text.startswith(currency) else text


def _scale(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-_count_decimals(currency))


def _count_decimals(currency: str) -> int:
    return DECIMALS.get(currency, 2)
