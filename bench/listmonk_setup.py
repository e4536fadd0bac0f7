"""Define listmonk's settings, subscribers and campaign for the comparison."""

from collections.abc import Mapping
from pathlib import Path

import psycopg

DATABASE = "listmonk"
# Chosen for throughput; with its defaults, listmonk sends a hundred letters per second.
WORKERS, BATCH, RATE = 20, 5_000, 10_000

INSERT_LIST = """INSERT INTO lists (uuid, name, type) VALUES (gen_random_uuid(), 'Клиенты', 'private')
    RETURNING id"""
INSERT_SUBSCRIBERS = """WITH added AS (
        INSERT INTO subscribers (uuid, email, name, attribs)
        SELECT gen_random_uuid(), 'client' || n || '-' || %(list)s || '@example.org', 'Клиент ' || n,
            %(attributes)s
        FROM generate_series(1, %(count)s) n
        RETURNING id)
    INSERT INTO subscriber_lists (subscriber_id, list_id, status)
    SELECT id, %(list)s, 'confirmed' FROM added"""
# The letter is a complete HTML page, so its template adds nothing.
INSERT_TEMPLATE = """INSERT INTO templates (name, type, subject, body)
    VALUES ('Пустой', 'campaign', '', '{{ template "content" . }}') RETURNING id"""
INSERT_CAMPAIGN = """INSERT INTO campaigns
        (uuid, name, subject, from_email, body, altbody, content_type, messenger, template_id, status)
    VALUES (gen_random_uuid(), 'Новости', %(subject)s, 'letters@sky.example', %(html)s, %(text)s, 'html',
        'email', %(template)s, 'running')
    RETURNING id"""


def make_config(connection: Mapping[str, object], port: int) -> str:
    """Return the text of config.toml for a database and a port for the website."""
    database = "\n".join(
        f'{name} = "{connection.get(key) or fallback}"'
        for name, key, fallback in (
            ("host", "host", "127.0.0.1"),
            ("user", "user", "postgres"),
            ("password", "password", ""),
            ("database", "dbname", DATABASE),
        )
    )
    return f"""[app]
address = "127.0.0.1:{port}"
[db]
{database}
port = {connection.get("port") or 5432}
ssl_mode = "disable"
max_open = 25
max_idle = 25
max_lifetime = "300s"
"""


def list_settings(mail_port: int) -> dict[str, object]:
    """Return the settings that differ from those of a new installation."""
    server = {
        "enabled": True,
        "host": "127.0.0.1",
        "port": mail_port,
        "auth_protocol": "none",
        "hello_hostname": "",
        "max_conns": WORKERS,
        "idle_timeout": "15s",
        "wait_timeout": "5s",
        "max_msg_retries": 2,
        "msg_retry_delay": "10ms",
        "tls_type": "none",
        "tls_skip_verify": False,
        "email_headers": [],
        "from_addresses": [],
    }
    return {
        "app.root_url": "https://sky.example",
        "app.check_updates": False,
        "app.concurrency": WORKERS,
        "app.batch_size": BATCH,
        "app.message_rate": RATE,
        "smtp": [server],
    }


def provide_pgcrypto(connection: psycopg.Connection, directory: Path) -> None:
    """If the server lacks the extension pgcrypto, which listmonk requires, provide an empty replacement.

    listmonk uses it only for its users' passwords, and there are no users here.
    """
    name = "pgcrypto"
    available = connection.execute(
        "SELECT 1 FROM pg_available_extensions WHERE name = %s", (name,)
    ).fetchone()
    if available:
        return
    folder = directory / "extension"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.control").write_text("default_version = '1.0'\n")
    (folder / f"{name}--1.0.sql").write_text(
        "CREATE FUNCTION crypt(text, text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';\n"
        "CREATE FUNCTION gen_salt(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';\n"
    )
    for path in (directory, folder, *folder.iterdir()):
        path.chmod(0o755)
    connection.execute(
        f"ALTER DATABASE {DATABASE} SET extension_control_path = '{directory}:$system'".encode()
    )
