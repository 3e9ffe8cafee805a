"""`leadline keys`: directly in the database, since the first key cannot be asked for with a key."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from leadline.cli.database import reach_database
from leadline.cli.exit_codes import CHECK_FAILED, USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from leadline.cli.output import print_json, show, table

app = group()


class Scope(StrEnum):
    """What a key may do."""

    INGEST = "ingest"
    READ = "read"
    WORK = "work"
    ADMIN = "admin"


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; shown in lists.")],
    scope: Annotated[list[Scope], typer.Option(help="ingest, read, work or admin; repeat for several.")],
    actor: Annotated[str | None, typer.Option(help="Person (id) the key acts for.")] = None,
    source: Annotated[str | None, typer.Option(help="Source its events belong to.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="May stand in a web page: can only write.")
    ] = False,
    days: Annotated[int | None, typer.Option(help="Expires after so many days.", min=1)] = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Create a key and print its secret, which is shown this once."""
    from leadline.first_keys import administrator
    from shared.web.keys import create_key

    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None

    async def run(address: str) -> dict[str, Any]:
        async with administrator(address) as connection:
            key = await create_key(
                connection,
                name=name,
                scopes=[one.value for one in scope],
                actor=actor,
                source=source,
                public=public,
                expires_at=expires_at,
            )
        return {"id": key.id, "key": key.token, "name": name, "scopes": key.scopes, "expires_at": expires_at}

    try:
        with reach_database(database, data_dir) as address:
            created = asyncio.run(run(address))
    except ValueError as refused:
        raise CommandFailed(str(refused), USAGE) from refused
    show(created, as_json=as_json)


@app.command("list")
def list_all(
    database: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """List the keys, without their secrets."""
    from leadline.first_keys import administrator
    from shared.web.keys import list_keys

    async def run(address: str) -> list[dict[str, Any]]:
        async with administrator(address) as connection:
            return [asdict(key) for key in await list_keys(connection)]

    with reach_database(database, data_dir) as address:
        keys = asyncio.run(run(address))
    if as_json:
        print_json(keys)
    else:
        table(
            [{**key, "scopes": ",".join(key["scopes"])} for key in keys],
            ("id", "name", "scopes", "actor", "source", "expires_at", "revoked_at", "last_used_at"),
        )


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from `list`.")],
    database: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Revoke a key; running processes refuse it within LEADLINE_AUTH_CACHE_SECONDS (30 unless set)."""
    from leadline.first_keys import administrator
    from shared.web.keys import revoke_key

    async def run(address: str) -> bool:
        async with administrator(address) as connection:
            return await revoke_key(connection, key_id)

    with reach_database(database, data_dir) as address:
        revoked = asyncio.run(run(address))
    if not revoked:
        raise CommandFailed(f"no key has the id {key_id}", CHECK_FAILED, "leadline keys list")
    show({"id": key_id, "revoked": True}, as_json=as_json)
