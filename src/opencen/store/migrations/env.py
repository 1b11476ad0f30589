"""Alembic runs inside the transaction that `Database.upgrade` has opened."""

from alembic import context

from opencen.store.schema import main

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=main, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
