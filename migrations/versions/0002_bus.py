"""Schema `bus`: the Postgres bus, a log that services reach only through its functions.

The topics and their consumer groups are declared here; a new topic is a new revision that declares it.
"""

from datetime import timedelta
from importlib.resources import files

from alembic import op

from shared.contracts.topics import TOPICS, Topic, consumer_group
from shared.db.revision import create_schema, grant, run_script
from shared.db.roles import BUS_FUNCTIONS

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def declare(topic: Topic) -> str:
    """Return the statement that declares `topic` with the groups that hold its log back."""
    groups = ", ".join(f"'{consumer_group(service)}'" for service in topic.consumers)
    hours = topic.retention / timedelta(hours=1)
    return (
        f"SELECT bus.declare_topic('{topic.name}', {topic.partitions},"
        f" make_interval(hours => {hours:.0f}), ARRAY[{groups}]::text[]);"
    )


def upgrade() -> None:
    create_schema(op, "bus")
    run_script(op, files("shared.bus").joinpath("postgres.sql").read_text())
    for topic in TOPICS:
        run_script(op, declare(topic))
    run_script(op, "SELECT bus.ensure_day(bus.today()), bus.ensure_day(bus.today() + 1);")
    grant(op, "USAGE ON SCHEMA bus")
    for function in BUS_FUNCTIONS:
        grant(op, f"EXECUTE ON FUNCTION bus.{function}")


def downgrade() -> None:
    run_script(op, "DROP SCHEMA bus CASCADE")
