"""Schema `ingest`: to be written by its owner."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None: ...


def downgrade() -> None: ...
