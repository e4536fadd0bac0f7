"""Run the whole service with demo data, and add more data to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from config import load_config
from skymailing import create_app
from skymailing.extensions import db
from skymailing.models import Role, User
from tests.processes.service import Service, wait_until
from tests.support import factories

PROCESSES = ("web", "worker-1", "worker-2", "worker", "scheduler")


class Site:
    """The service that browsers open: `flask up` with the data of `flask demo`."""

    def __init__(self, data_dir: Path) -> None:
        self.service = Service(data_dir, WORKERS="2")
        # Browsers do not allow passkeys at an IP address.
        self.url = self.service.environment["PUBLIC_URL"] = f"http://localhost:{self.service.port}"

    def start(self) -> None:
        self.service.start()
        wait_until(self.service.is_ready, "all processes are ready")
        demo = self.service.run("demo")
        assert demo.returncode == 0, demo.stderr
        self.passwords = dict(line.split()[1:3] for line in demo.stdout.splitlines() if line.count("@") == 1)
        self.app = create_app(load_config(self.service.environment))

    def stop(self) -> None:
        self.service.stop()

    @contextmanager
    def open_session(self) -> Iterator[Session]:
        """Let factories write to the service's database; commit when the block ends."""
        with self.app.app_context(), Session(db.engine, expire_on_commit=False) as session:
            factories.bind(session, self.app)
            yield session
            session.commit()

    def add_user(self, role: Role = Role.USER, **values: Any) -> User:
        """Add an account that can sign in with the factories' password."""
        with self.open_session():
            user: User = factories.UserFactory.create(role=role, **values)
        return user

    def find_tracebacks(self) -> list[str]:
        """Return the names of the processes that logged an exception."""
        return [name for name in PROCESSES if "Traceback" in self.service.log(name)]
