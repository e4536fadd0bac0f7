"""The roots of our errors. Each feature defines its own beside the services that raise them."""


class SkyMailingError(Exception):
    """The root of all errors that the project raises on purpose."""


class UserError(SkyMailingError):
    """A request that cannot be fulfilled, in a way that the person or program can do something about.

    `code` names the error for programs, `values` fill in its text. The text itself is in
    `web/error_texts.py` and is translated where it is shown: on a page, in a command, in the API.
    """

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


class ConfigurationError(SkyMailingError):
    """A setting is missing, malformed or unsafe for its environment."""


class IllegalTransition(SkyMailingError):
    """A state was asked to move where its transition table has no arrow."""

    def __init__(self, thing: str, old: str, new: str) -> None:
        super().__init__(f"{thing}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new
