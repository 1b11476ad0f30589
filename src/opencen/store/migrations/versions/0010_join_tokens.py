"""Tokens with which gateways join, and a gateway's next credential beside the present one."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0010"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "join_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("region_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("used_from", sa.String(), nullable=True),
        sa.Column("gateway_id", sa.String(), nullable=True),
        sa.Column("credential_sha256", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_join_tokens_account_id")),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_join_tokens_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_tokens")),
    )
    op.add_column("gateways", sa.Column("next_token_sha256", sa.LargeBinary(), nullable=True))
    op.add_column("gateways", sa.Column("rotation_wanted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("gateways", sa.Column("credential_since", UtcDateTime(), nullable=True))
