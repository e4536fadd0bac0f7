"""The flask CLI: one thin click module per group, imported when its command is called."""

from importlib import import_module

from click import Command, Context
from flask.cli import AppGroup

# Each command's name, and its module and function in this package.
COMMANDS = {
    "backup": "backup:backup",
    "bounces": "bounces:bounces",
    "catcher": "catcher:catcher",
    "clients": "clients:clients",
    "db": "migrations:db",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
    "mailings": "mailings:mailings",
    "restore": "backup:restore",
    "routes": "routes:routes",
    "scheduler": "processes:scheduler",
    "servers": "servers:servers",
    "sweep": "sweep:sweep",
    "up": "processes:up",
    "users": "users:users",
    "web": "processes:web",
    "worker": "processes:worker",
}


class CommandGroup(AppGroup):
    """The application's commands, each imported only when it is called."""

    def list_commands(self, ctx: Context) -> list[str]:
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command
