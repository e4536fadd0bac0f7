"""Parse and format amounts of money, which are stored in the smallest unit of the currency, such as cents."""

from decimal import Decimal
from functools import cache

from babel.numbers import list_currencies
from flask_babel import format_currency, get_locale

MAX_AMOUNT = 10**15  # exact even in programs that read JSON numbers as floats
# The number of decimals of currencies that do not have two (ISO 4217). Babel's numbers follow everyday use,
# such as 0 for HUF, and differ between its versions, which would change the meaning of stored amounts.
DECIMALS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
DECIMALS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3) | {"CLF": 4, "UYW": 4}


@cache
def is_currency(code: str) -> bool:
    """Return whether a currency has this code (ISO 4217)."""
    return code in list_currencies()


def parse_amount(text: str, currency: str) -> int | None:
    """Convert a decimal number such as "1499.90" to the smallest unit of the currency.

    Return None if the amount is too large or has more decimals than the currency.
    """
    scaled = Decimal(text).scaleb(_count_decimals(currency))
    is_valid = scaled == scaled.to_integral_value() and scaled <= MAX_AMOUNT
    return int(scaled) if is_valid else None


def format_amount(amount: int, currency: str) -> str:
    """Format an amount for programs, as a decimal number such as "1499.90"."""
    return f"{_to_decimal(amount, currency):f}"


def format_money(amount: int, currency: str) -> str:
    """Format an amount in the current language, such as $1,499.90, or $1,500 for a whole number."""
    scaled = _to_decimal(amount, currency)
    locale = get_locale()
    assert locale is not None
    is_whole = scaled == scaled.to_integral_value()
    digits = "0" if is_whole else "0." + "0" * _count_decimals(currency)
    pattern = locale.currency_formats["standard"].pattern.replace("0.00", digits)
    text = str(format_currency(scaled, currency, format=pattern, currency_digits=False))
    # If the currency has no symbol, its code replaces it and needs a space.
    return text.replace(currency, f"{currency}\xa0", 1) if text.startswith(currency) else text


def _to_decimal(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-_count_decimals(currency))


def _count_decimals(currency: str) -> int:
    return DECIMALS.get(currency, 2)
