"""Alarms: rules, where they are told, their states, and the messages on their way."""

import sqlalchemy as sa
from alembic import op

from opencen.store.types import UtcDateTime

revision = "0025"
down_revision = "0013"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _make_channels_and_rules()
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("silenced_until", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alarm_rules.id"], name=op.f("fk_alarms_rule_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_alarms_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("rule_id", "subject", name=op.f("uq_alarms_rule_id_subject")),
    )
    op.create_index(op.f("ix_alarms_account_id_state"), "alarms", ["account_id", "state"])
    op.create_table(
        "alarm_deliveries",
        sa.Column("id", _BIG_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("channel_id", sa.String(), nullable=True),
        sa.Column("alarm_id", sa.String(), nullable=True),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("message", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_alarm_deliveries_account_id")),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["alarm_channels.id"], name=op.f("fk_alarm_deliveries_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_deliveries")),
    )
    op.create_index(op.f("ix_alarm_deliveries_account_id_id"), "alarm_deliveries", ["account_id", "id"])
    for column in ("channel_id", "created_at", "next_attempt_at"):
        op.create_index(op.f(f"ix_alarm_deliveries_{column}"), "alarm_deliveries", [column])


def _make_channels_and_rules() -> None:
    op.create_table(
        "alarm_channels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_alarm_channels_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_channels")),
    )
    op.create_index(
        op.f("ix_alarm_channels_account_id_created_at_id"), "alarm_channels", ["account_id", "created_at", "id"]
    )
    op.create_table(
        "alarm_rules",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cen_id", sa.String(), nullable=True),
        sa.Column("region_a_id", sa.String(), nullable=True),
        sa.Column("region_b_id", sa.String(), nullable=True),
        sa.Column("package_id", sa.String(), nullable=True),
        sa.Column("raise_at", sa.Float(), nullable=False),
        sa.Column("raise_for_s", sa.Integer(), nullable=False),
        sa.Column("clear_at", sa.Float(), nullable=False),
        sa.Column("clear_for_s", sa.Integer(), nullable=False),
        sa.Column("remind_every_s", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("clear_at <= raise_at", name=op.f("ck_alarm_rules_clears_below")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_alarm_rules_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_rules")),
    )
    op.create_index(op.f("ix_alarm_rules_account_id_created_at_id"), "alarm_rules", ["account_id", "created_at", "id"])
    op.create_table(
        "alarm_rule_channels",
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("channel_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["alarm_rules.id"], name=op.f("fk_alarm_rule_channels_rule_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["alarm_channels.id"], name=op.f("fk_alarm_rule_channels_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("rule_id", "channel_id", name=op.f("pk_alarm_rule_channels")),
    )
    op.create_index(op.f("ix_alarm_rule_channels_channel_id"), "alarm_rule_channels", ["channel_id"])
