"""the audit log takes new lines only, also from whoever writes SQL

Revision ID: 0012
Revises: 0007
Create Date: 2026-11-25 13:40:00

"""
from alembic import op

# revision identifiers, used by Alembic.
revision = '0012'
down_revision = '0007'
branch_labels = None
depends_on = None

REFUSAL = 'the audit log is only ever added to'
# Whoever replaces the table on SQLite, as batch_alter_table does, creates these anew.
SQLITE = {
    'audit_entries_no_update': 'BEFORE UPDATE ON audit_entries',
    'audit_entries_no_delete': 'BEFORE DELETE ON audit_entries',
    # INSERT OR REPLACE deletes without asking the trigger above.
    'audit_entries_no_replace': 'BEFORE INSERT ON audit_entries WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)',
}


def upgrade():
    if op.get_bind().dialect.name == 'sqlite':
        for name, moment in SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {moment} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        return
    op.execute(
        'CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        'CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries '
        'FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()'
    )


def downgrade():
    if op.get_bind().dialect.name == 'sqlite':
        for name in SQLITE:
            op.execute(f'DROP TRIGGER {name}')
        return
    op.execute('DROP TRIGGER audit_entries_append_only ON audit_entries')
    op.execute('DROP FUNCTION refuse_audit_change()')
