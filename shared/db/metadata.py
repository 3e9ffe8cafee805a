"""The naming convention of constraints, and a MetaData per service schema (Alembic's view of the tables)."""

from sqlalchemy import MetaData

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}


def service_metadata(schema: str) -> MetaData:
    """Return the MetaData of one service: tables get `schema` and constraint names by convention."""
    return MetaData(schema=schema, naming_convention=NAMING_CONVENTION)
