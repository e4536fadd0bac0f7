"""store JSON without escapes in SQLite

SQLite compares the keys of stored JSON as they are written, so it did not find "\\u0433" as "г".
PostgreSQL stores JSON decoded.

Revision ID: 0021
Revises: 0020
Create Date: 2026-11-28 14:20:00

"""
import json

from alembic import op

# revision identifiers, used by Alembic.
revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

COLUMNS = {
    'clients': 'attributes',
    'client_imports': 'headers',
    'outbox': 'params',
    'removals': 'content',
    'users': 'guide_skipped',
}


def unescape(text):
    """Return the JSON text without escapes; lone surrogates, which SQLite cannot store, stay escaped."""
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False)
        plain.encode()
    except ValueError:
        return text
    return plain


def upgrade():
    connection = op.get_bind()
    if connection.dialect.name != 'sqlite':
        return
    # Not through SQLAlchemy, whose events would ask Redis to invalidate cached pages: none shows these columns,
    # and Redis may not run yet.
    driver = connection.connection.driver_connection
    driver.create_function('unescape_json', 1, unescape)
    for table, column in COLUMNS.items():
        driver.execute(
            f"UPDATE {table} SET {column} = unescape_json({column}) WHERE instr({column}, '\\u') > 0"
        )


def downgrade():
    """Leave the rows as they are: earlier versions read JSON without escapes too."""
