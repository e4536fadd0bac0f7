"""make the audit log append-only, also for direct SQL

Revision ID: 0012
Revises: 0010
Create Date: 2026-11-25 13:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0012'
down_revision = '0010'
branch_labels = None
depends_on = None

REFUSAL = 'the audit log is only ever added to'
# Only the transaction that wrote a permit sees it, and removes it before its end.
NO_PERMIT = 'NOT EXISTS (SELECT 1 FROM audit_permits)'
# Code that replaces the table on SQLite, as batch_alter_table does, must recreate these.
SQLITE = {
    'audit_entries_no_update': f'BEFORE UPDATE ON audit_entries WHEN {NO_PERMIT}',
    'audit_entries_no_delete': f'BEFORE DELETE ON audit_entries WHEN {NO_PERMIT}',
    # INSERT OR REPLACE deletes without firing the trigger above.
    'audit_entries_no_replace': 'BEFORE INSERT ON audit_entries WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)',
}


def upgrade():
    op.create_table(
        'audit_permits',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_permits')),
    )
    if op.get_bind().dialect.name == 'sqlite':
        for name, moment in SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {moment} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        return
    op.execute(
        'CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN IF {NO_PERMIT} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END IF; "
        'RETURN NULL; END $$'
    )
    op.execute(
        'CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries '
        'FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()'
    )


def downgrade():
    if op.get_bind().dialect.name == 'sqlite':
        for name in SQLITE:
            op.execute(f'DROP TRIGGER {name}')
    else:
        op.execute('DROP TRIGGER audit_entries_append_only ON audit_entries')
        op.execute('DROP FUNCTION refuse_audit_change()')
    op.drop_table('audit_permits')
