"""The three Postgres stores of one transaction, as the use cases take them."""

from services.scoring.adapters.postgres_identities import PostgresIdentities
from services.scoring.adapters.postgres_leads import PostgresLeads
from services.scoring.adapters.postgres_timeline import PostgresTimeline
from services.scoring.usecases.ports import Stores
from shared.db.database import Transaction


def postgres_stores(tx: Transaction) -> Stores:
    """Return the stores that work inside `tx`."""
    return Stores(PostgresIdentities(tx), PostgresTimeline(tx), PostgresLeads(tx))
