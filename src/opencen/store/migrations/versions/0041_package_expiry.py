"""When a package's end was warned of and carried out."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0041"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("bandwidth_packages", sa.Column("warned_at", UtcDateTime()))
    op.add_column("bandwidth_packages", sa.Column("expired_at", UtcDateTime()))
    op.create_index(op.f("ix_bandwidth_packages_expires_at"), "bandwidth_packages", ["expires_at"])
