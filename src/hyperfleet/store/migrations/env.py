"""What Alembic runs: the migrations, on the connection that `hyperfleet.store.migrations` hands over.

A lock that is not to be had soon ends the migration instead of queueing every other statement behind it.
"""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
connection.execute(text("SET statement_timeout = 0"))
connection.execute(text("SET lock_timeout = '30s'"))
connection.commit()
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
