"""Users that can be disabled; access keys with a name, a role, source networks and their last use."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("users", sa.Column("disabled_at", UtcDateTime(), nullable=True))
    op.add_column("access_keys", sa.Column("name", sa.String(), nullable=True))
    op.add_column("access_keys", sa.Column("role", sa.String(), nullable=True))
    op.add_column("access_keys", sa.Column("source_networks", sa.JSON(), nullable=True))
    op.add_column("access_keys", sa.Column("last_used_at", UtcDateTime(), nullable=True))
