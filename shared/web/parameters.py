"""Query parameters that no endpoint reads are refused: a slip in a filter's name would show everything."""

from collections.abc import Iterator
from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from shared.web.problem import Problem, json_pointer

# Enough to see what is wrong; a request may have thousands.
_MOST_NAMED = 20


def refuse_unknown_parameters(request: Request) -> None:
    """Raise Problem 422 `unknown_parameter` for query parameters that the endpoint does not name."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = sorted(set(_names(route.dependant)))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise Problem(
            422,
            "unknown_parameter",
            "The request has parameters that are not known here.",
            errors=[_error(name, known) for name in unknown[:_MOST_NAMED]],
            extra={"known": known},
        )


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)


def _error(name: str, known: list[str]) -> dict[str, str]:
    meant = get_close_matches(name[:100], known, 1)
    detail = "no parameter has this name" + (f"; did you mean `{meant[0]}`?" if meant else "")
    return {"pointer": json_pointer([name]), "detail": detail, "in": "query"}
