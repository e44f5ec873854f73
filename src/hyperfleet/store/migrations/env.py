"""Runs the migrations for Alembic, on the connection that `hyperfleet.store.migrations` passes.

A migration fails when a lock is not granted soon, so that other statements do not queue behind it.
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
