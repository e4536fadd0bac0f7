"""add the index of trigrams for searches, and note the clients that change

Revision ID: 0027
Revises: 0026
Create Date: 2026-11-28 21:40:00

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0027'
down_revision = '0026'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')

# Once for each INSERT and DELETE, which costs an import less than once for each row. An UPDATE would have to
# join the rows before and after it, of which the planner knows nothing.
POSTGRESQL = """
CREATE TABLE client_search (client_id bigint PRIMARY KEY, content integer[] NOT NULL);
CREATE INDEX ix_client_search_content ON client_search USING gin (content);
CREATE FUNCTION note_clients() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO clients_to_index (owner_id, client_id) SELECT owner_id, id FROM changed;
    RETURN NULL;
END $function$;
CREATE FUNCTION note_changed_client() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO clients_to_index (owner_id, client_id) VALUES (NEW.owner_id, NEW.id);
    RETURN NULL;
END $function$;
CREATE TRIGGER note_inserted_clients AFTER INSERT ON clients REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_clients();
CREATE TRIGGER note_deleted_clients AFTER DELETE ON clients REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_clients();
CREATE TRIGGER note_updated_clients AFTER UPDATE ON clients FOR EACH ROW
    WHEN ((OLD.email_key, OLD.full_name, OLD.attributes) IS DISTINCT FROM
        (NEW.email_key, NEW.full_name, NEW.attributes))
    EXECUTE FUNCTION note_changed_client();
"""
SQLITE = (
    "CREATE VIRTUAL TABLE client_search USING fts5(content, tokenize = 'trigram', detail = none, columnsize = 0)",
    """CREATE TRIGGER note_inserted_clients AFTER INSERT ON clients BEGIN
        INSERT INTO clients_to_index (owner_id, client_id) VALUES (new.owner_id, new.id);
    END""",
    """CREATE TRIGGER note_deleted_clients AFTER DELETE ON clients BEGIN
        INSERT INTO clients_to_index (owner_id, client_id) VALUES (old.owner_id, old.id);
    END""",
    """CREATE TRIGGER note_updated_clients AFTER UPDATE OF email_key, full_name, attributes ON clients
    WHEN new.email_key <> old.email_key OR new.full_name <> old.full_name OR new.attributes <> old.attributes
    BEGIN
        INSERT INTO clients_to_index (owner_id, client_id) VALUES (new.owner_id, new.id);
    END""",
)


def upgrade():
    op.create_table(
        'clients_to_index',
        sa.Column('id', BIG_ID, nullable=False),
        sa.Column('owner_id', sa.Integer(), nullable=False),
        sa.Column('client_id', BIG_ID, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_clients_to_index')),
    )
    op.create_index(op.f('ix_clients_to_index_owner_id'), 'clients_to_index', ['owner_id'])
    bind = op.get_bind()
    for statement in (POSTGRESQL,) if bind.dialect.name == 'postgresql' else SQLITE:
        bind.exec_driver_sql(statement)
    op.execute('INSERT INTO clients_to_index (owner_id, client_id) SELECT owner_id, id FROM clients ORDER BY id')


def downgrade():
    is_postgresql = op.get_bind().dialect.name == 'postgresql'
    for name in ('inserted', 'deleted', 'updated'):
        op.execute(f"DROP TRIGGER note_{name}_clients{' ON clients' if is_postgresql else ''}")
    if is_postgresql:
        op.execute('DROP FUNCTION note_clients')
        op.execute('DROP FUNCTION note_changed_client')
    op.drop_table('client_search')
    op.drop_table('clients_to_index')
