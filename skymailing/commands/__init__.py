"""The flask CLI: one thin click file per group."""

from click import Command

from skymailing.commands import doctor, processes, users

COMMANDS: tuple[Command, ...] = (
    processes.up,
    processes.worker,
    processes.scheduler,
    processes.catcher,
    doctor.doctor,
    users.users,
)
