"""Which server process does the background duties."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "duty_lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_duty_lease_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty_lease")),
    )
    op.execute("INSERT INTO duty_lease (id, beat) VALUES (1, 0)")
