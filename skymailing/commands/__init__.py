"""The flask CLI: one thin click file per group."""

from click import Command

COMMANDS: tuple[Command, ...] = ()
