"""The flask CLI: one thin click file per group."""

from click import Command

from skymailing.commands import backup, clients, demo, doctor, mailings, processes, report, sweep, users

COMMANDS: tuple[Command, ...] = (
    clients.clients,
    processes.up,
    processes.web,
    processes.worker,
    processes.scheduler,
    processes.catcher,
    doctor.doctor,
    backup.backup,
    backup.restore,
    users.users,
    demo.demo,
    mailings.mailings,
    sweep.sweep,
)

mailings.mailings.add_command(report.report)
