"""The services' database roles: creating them, granting to them, and living without them.

A role `leadline_<service>` cannot log in; the connecting user takes it on. Where the roles cannot be had,
every service works as the connecting user: all works, but no wall stands between the schemas.
"""

from typing import Any

import asyncpg

from shared.contracts.topics import SERVICES, ServiceName
from shared.db.revision import role_of, schema_grants

# The functions of schema `platform` that every service may call; the others are the administrator's.
SERVICE_FUNCTIONS = (
    "find_key(bytea)",
    "touch_key(text)",
    "current_epoch()",
    "cluster_id()",
    "agree_on_log(text)",
)
# Those of schema `bus`; its topics are declared and its groups forgotten by the owner alone.
BUS_FUNCTIONS = (
    "append(text[], integer[], integer[], bytea[])",
    "fetch(text[], integer[], bigint[], integer)",
    "heads(text)",
    "identity()",
    "join(text, text[])",
    "renew(text, text, text[], double precision, text[], integer[], bigint[])",
    "leave(text, text)",
    "trim()",
)

_ROLES = ", ".join(f"'{role_of(service)}'" for service in SERVICES)

# Two databases of one server may be migrated at the same time: each step tolerates having been done.
CREATE_ROLES = f"""
DO $do$
DECLARE wanted text;
BEGIN
    IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    FOREACH wanted IN ARRAY ARRAY[{_ROLES}] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        BEGIN
            IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT %I TO %I', wanted, current_user);
            END IF;
        EXCEPTION WHEN insufficient_privilege OR unique_violation THEN NULL;
        END;
    END LOOP;
END $do$
"""


async def roles_usable(connection: "asyncpg.Connection[Any]") -> bool:
    """Return whether the connecting user can take on every service's role."""
    # 16 split membership from the right to SET ROLE; before, membership was that right.
    privilege = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
    held = await connection.fetchval(
        "SELECT count(*) FROM pg_roles"
        " WHERE rolname = ANY($1::text[]) AND pg_has_role(session_user, oid, $2)",
        [role_of(service) for service in SERVICES],
        privilege,
    )
    return bool(held == len(SERVICES))


async def settle_roles(connection: "asyncpg.Connection[Any]") -> bool:
    """Record whether this installation runs with one role; grant anew where the roles have since been made.

    Run as the schemas' owner after each migration. Returns True for a single-role installation.
    """
    usable = await roles_usable(connection)
    async with connection.transaction():
        if usable and await connection.fetchval("SELECT single_role FROM platform.installation"):
            for statement in await _object_grants(connection):
                await connection.execute(statement)
        await connection.execute("UPDATE platform.installation SET single_role = $1", not usable)
    return not usable


async def role_to_use(connection: "asyncpg.Connection[Any]", service: ServiceName) -> str | None:
    """Return the role a service works under, None where it must work as the connecting user.

    Roles that exist but have no grants yet (made after the migration, before the next one) do not count.
    """
    if not await roles_usable(connection):
        return None
    closed = await connection.fetchval(
        "SELECT count(*) FROM pg_namespace"
        " WHERE nspname = ANY($1::text[]) AND NOT has_schema_privilege($2, oid, 'USAGE')",
        ["platform", "bus", service],
        role_of(service),
    )
    return None if closed else role_of(service)


async def _object_grants(connection: "asyncpg.Connection[Any]") -> list[str]:
    rows = await connection.fetch("SELECT nspname FROM pg_namespace")
    schemas = {row["nspname"] for row in rows}
    statements: list[str] = []
    for service in SERVICES:
        role = role_of(service)
        statements.append(f"GRANT USAGE ON SCHEMA platform TO {role}")
        statements += [f"GRANT EXECUTE ON FUNCTION platform.{name} TO {role}" for name in SERVICE_FUNCTIONS]
        if "bus" in schemas:
            statements += [
                f"GRANT USAGE ON SCHEMA bus TO {role}",
                *(f"GRANT EXECUTE ON FUNCTION bus.{name} TO {role}" for name in BUS_FUNCTIONS),
            ]
        if service in schemas:
            statements += schema_grants(service)
    return statements


def roles_sql(user: str) -> str:
    """Return the SQL a server's administrator runs once; `leadline db upgrade` then does the rest."""
    quoted = '"' + user.replace('"', '""') + '"'
    lines = [f"CREATE ROLE {role_of(service)} NOLOGIN;" for service in SERVICES]
    lines += [f"GRANT {role_of(service)} TO {quoted};" for service in SERVICES]
    return "\n".join(lines)
