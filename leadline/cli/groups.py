"""How every group of commands looks: plain help, no shell completion, no colours of its own."""

import typer


def group() -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
