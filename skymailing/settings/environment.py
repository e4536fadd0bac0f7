"""Read single values from environment variables."""

from collections.abc import Mapping

from skymailing.errors import ConfigurationError


class EnvironmentReader:
    """Read and check values in a mapping of environment variables; each method raises ConfigurationError."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def _text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def _number(self, name: str, default: int, minimum: int = 0, maximum: int = 10**9) -> int:
        text = self._text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit():
            raise ConfigurationError(f"{name} must be a whole number, not {text!r}.")
        if len(text) > len(str(maximum)) or not minimum <= int(text) <= maximum:
            raise ConfigurationError(f"{name} must be between {minimum} and {maximum}, not {text}.")
        return int(text)

    def _port(self, name: str, default: int) -> int:
        return self._number(name, default, 1, 65_535)

    def _choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        given = self._text(name) or default
        for choice in choices:
            if choice.lower() == given.lower():
                return choice
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, not {given!r}.")

    def _flag(self, name: str) -> bool:
        text = (self._text(name) or "no").lower()
        if text in {"1", "true", "yes", "on"}:
            return True
        if text in {"0", "false", "no", "off"}:
            return False
        raise ConfigurationError(f"{name} must be yes or no, not {text!r}.")


def read_numbers(
    environ: Mapping[str, str], variables: Mapping[str, tuple[str, int]], problem: str
) -> dict[str, int]:
    """Return the numbers that are set, by name; `variables` has each name's variable and largest value.

    Raises ConfigurationError with the text "<variable> must be <problem>".
    """
    given = {}
    for name, (variable, largest) in variables.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        if not (text.isascii() and text.isdigit() and int(text) <= largest):
            raise ConfigurationError(f"{variable} must be {problem}, not {text!r}.")
        given[name] = int(text)
    return given
