"""Tags, client tokens, resource groups and vSwitches."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "resource_groups",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_resource_groups_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_groups")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_resource_groups_account_id_name")),
    )
    for table in ("instances", "networks", "bandwidth_packages"):
        # In place: SQLite would have to copy the table otherwise, and others refer to it.
        group = sa.ForeignKey("resource_groups.id", name=op.f(f"fk_{table}_resource_group_id"))
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE {table} ADD COLUMN resource_group_id VARCHAR REFERENCES resource_groups (id)")
        else:
            op.add_column(table, sa.Column("resource_group_id", sa.String(), group, nullable=True))
    op.create_table(
        "vswitches",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("zone_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("cidr_block", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_vswitches_account_id")),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_vswitches_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vswitches")),
    )
    op.create_index(op.f("ix_vswitches_network_id"), "vswitches", ["network_id"], unique=False)
    op.create_index(
        op.f("ix_vswitches_account_id_created_at_id"), "vswitches", ["account_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "tags",
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_tags_account_id")),
        sa.PrimaryKeyConstraint("resource_type", "resource_id", "key", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_account_id_key_value"), "tags", ["account_id", "key", "value"], unique=False)
    op.create_table(
        "client_tokens",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("parameters_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_client_tokens_account_id")),
        sa.PrimaryKeyConstraint("account_id", "action", "token", name=op.f("pk_client_tokens")),
    )
    op.create_index(op.f("ix_client_tokens_expires_at"), "client_tokens", ["expires_at"], unique=False)
