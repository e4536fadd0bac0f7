"""The base classes of our errors. Each feature defines its own next to the services that raise them."""


class SkyMailingError(Exception):
    """The base class of all errors that the project raises."""


class UserError(SkyMailingError):
    """A request that fails for a reason that the user or program can fix.

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
    """A state change that the transition table does not allow."""

    def __init__(self, thing: str, old: str, new: str) -> None:
        super().__init__(f"{thing}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new
