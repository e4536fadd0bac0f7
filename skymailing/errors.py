"""What can go wrong in our own terms; the message of each is fit to be shown to a person."""


class SkyMailingError(Exception):
    """The root of all errors that the project raises on purpose."""


class ConfigurationError(SkyMailingError):
    """A setting is missing, malformed or unsafe for its environment."""


class IllegalTransition(SkyMailingError):
    """A state was asked to move where its transition table has no arrow."""

    def __init__(self, thing: str, old: str, new: str) -> None:
        super().__init__(f"{thing}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new
