"""What an Alembic revision needs beside `op`: scripts of many statements, and grants to the services' roles.

Roles may be absent (a server that gives no CREATEROLE): the installation then runs with one role, and the
grants are skipped here and printed by `shared.db.roles.grants_sql`.
"""

from collections.abc import Sequence
from typing import Any

from shared.contracts.topics import SERVICES, ServiceName


def run_script(op: Any, sql: str) -> None:
    """Run several statements (function bodies included) in the revision's transaction."""
    # Here, since the services import this module for the name of a role and run without SQLAlchemy.
    from sqlalchemy.util import await_only

    connection = op.get_bind()
    connection.exec_driver_sql("SELECT 1")  # opens the transaction, which the raw connection then shares
    raw = connection.connection.driver_connection
    await_only(raw.execute(sql))


def role_of(service: ServiceName) -> str:
    """Return the database role under which a service works."""
    return f"leadline_{service}"


def grant(op: Any, privileges: str, services: Sequence[ServiceName] = SERVICES) -> None:
    """Run `GRANT privileges TO role` for each service whose role exists.

    `privileges` is e.g. `EXECUTE ON FUNCTION bus.append(text, text[])` or `USAGE ON SCHEMA bus`.
    """
    for service in services:
        run_script(op, _if_role_exists(role_of(service), f"GRANT {privileges} TO {role_of(service)}"))


def grant_schema(op: Any, service: ServiceName) -> None:
    """Give a service's role the use of its schema: rows of all tables, sequences and functions in it.

    Call it as the last step of `upgrade`, and again in each later revision that adds objects. What only
    the owner may do (create or drop a partition) goes into a SECURITY DEFINER function of that schema.
    """
    for statement in schema_grants(service):
        run_script(op, _if_role_exists(role_of(service), statement))


def schema_grants(service: ServiceName) -> list[str]:
    """Return the GRANT statements of a service's own schema."""
    role = role_of(service)
    return [
        f"GRANT USAGE ON SCHEMA {service} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {service} TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {service} TO {role}",
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {service} TO {role}",
    ]


def create_schema(op: Any, schema: str) -> None:
    """Create a schema that nobody but its owner sees until a grant says otherwise."""
    run_script(op, f"CREATE SCHEMA IF NOT EXISTS {schema}; REVOKE ALL ON SCHEMA {schema} FROM PUBLIC")


def _if_role_exists(role: str, statement: str) -> str:
    return (
        f"DO $do$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}')"
        f" THEN {statement}; END IF; END $do$"
    )
