"""Plans that were applied, with the state before and after each."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0050"
down_revision = "0040"


def upgrade() -> None:
    op.create_table(
        "plan_versions",
        sa.Column("cen_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("applied_at", UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("bought_package_ids", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("confirm_by", UtcDateTime()),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["instances.id"], name=op.f("fk_plan_versions_cen_id")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_plan_versions_account_id")),
        sa.PrimaryKeyConstraint("cen_id", "number", name=op.f("pk_plan_versions")),
    )
    op.create_index(op.f("ix_plan_versions_confirm_by"), "plan_versions", ["confirm_by"])
