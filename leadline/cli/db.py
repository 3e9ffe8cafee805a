"""`leadline db`: the database's revisions."""

from typing import Annotated

import typer

from leadline.cli.database import reach_database
from leadline.cli.exit_codes import CONFLICT, USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from leadline.cli.output import show

app = group()


@app.command("upgrade")
def upgrade(
    revision: Annotated[str, typer.Argument(help="Up to this revision.")] = "head",
    database: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Run the pending migrations."""
    from shared.db import migrate, roles

    with reach_database(database, data_dir) as url:
        single_role = migrate.upgrade(url, revision)
        show({"revision": migrate.current(url), "single_role": single_role}, as_json=as_json)
        user, ahead = migrate.user(url), migrate.is_ahead(url)
    if ahead:
        typer.echo("A newer release has upgraded this database; nothing was to be done.", err=True)
    if single_role:
        typer.echo(
            "All services share one database role. An administrator of the server can part them:\n"
            f"{roles.roles_sql(user)}\nThen run `leadline db upgrade` again.",
            err=True,
        )


@app.command("downgrade")
def downgrade(
    revision: Annotated[str, typer.Argument(help="Back to this revision; `base` undoes all.")],
    yes: Annotated[bool, typer.Option("--yes", help="Data of what is undone is lost; do it.")] = False,
    database: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Undo migrations back to a revision."""
    from shared.db import migrate

    if not yes:
        raise CommandFailed(
            "the data of what is undone would be lost", USAGE, f"leadline db downgrade {revision} --yes"
        )
    with reach_database(database, data_dir) as url:
        try:
            migrate.downgrade(url, revision)
        except migrate.UnknownRevision as unknown:
            raise CommandFailed(str(unknown), CONFLICT, "downgrade with that release") from unknown
        show({"revision": migrate.current(url)}, as_json=as_json)


@app.command("current")
def current(
    database: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """Show the revision the database is at."""
    from shared.db import migrate

    with reach_database(database, data_dir) as url:
        show({"revision": migrate.current(url)}, as_json=as_json)


@app.command("check")
def check(
    database: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """Exit 6 if migrations are pending, 0 if not; none are where a newer release has upgraded."""
    from shared.db import migrate

    with reach_database(database, data_dir) as url:
        pending = migrate.pending(url)
    show({"pending": pending}, as_json=as_json)
    if pending:
        raise CommandFailed(f"{len(pending)} migrations are pending", CONFLICT, "leadline db upgrade")
