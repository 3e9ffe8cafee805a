"""`GET|PUT /v1/policies`: the active policy, and a new version from YAML, linted before it counts."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from services.routing.domain.policy import Policy
from services.routing.entrypoints.acting import REFUSALS, problem_of_refusal
from services.routing.usecases.ports import Page, Reads, Store
from services.routing.usecases.publish_policy import publish_policy
from shared.config_file import ConfigError
from shared.db.database import Database, Transaction
from shared.web.auth import ApiKey, require
from shared.web.problem import Problem

StoreOf = Callable[[Transaction, datetime | None], Store]
Compile = Callable[[str, str], Policy]
"""Lint the YAML text into the policy of that version; raises ConfigError with the findings."""


def policy_routes(database: Database, store_of: StoreOf, reads: Reads, compile_policy: Compile) -> APIRouter:
    """Return the routes about policies."""
    router = APIRouter(prefix="/v1/policies", tags=["policies"])

    @router.get("")
    async def get_policy(_: Annotated[ApiKey, Depends(require("read"))]) -> Page:
        """Return the active policy: version, origin, YAML text."""
        found = await reads.policy()
        if found is None:
            raise Problem(404, "not_found", "No policy has been installed.")
        return found

    @router.put("")
    async def put_policy(
        request: Request, key: Annotated[ApiKey, Depends(require("admin"))]
    ) -> dict[str, Any]:
        """Lint and publish a new version; clocks that run keep their terms. The same text makes none."""
        text = _text(await request.body())
        active = await reads.policy()
        if active is not None and active["body"] == text:
            return {"version": active["version"], "number": active["number"]}
        try:
            number = await publish_text(database, store_of, compile_policy, text, pushed_by=key.id)
        except ConfigError as refused:
            raise _lint_problem(refused) from refused
        except REFUSALS as refusal:
            raise problem_of_refusal(refusal) from refusal
        return {"version": f"p{number}", "number": number}

    return router


async def publish_text(
    database: Database,
    store_of: StoreOf,
    compile_policy: Compile,
    text: str,
    *,
    pushed_by: str,
    only_first: bool = False,
) -> int:
    """Lint and publish; return the version's number. `only_first`: not where any was published before.

    Linting resolves holidays, which takes a second the first time: it is done before the transaction.
    """
    number = 1
    while True:
        policy = await asyncio.to_thread(compile_policy, text, f"p{number}")
        async with database.transaction() as tx:
            store = store_of(tx, None)
            free = await store.next_policy_number()
            if only_first and free > 1:
                return free - 1
            if free == number:
                await publish_policy(store, policy, number=number, body=text, pushed_by=pushed_by)
                return number
        number = free


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Problem(422, "invalid_policy", "The body is not UTF-8 text.") from None


def _lint_problem(refused: ConfigError) -> Problem:
    errors = [
        {
            "pointer": "/" + finding.path.replace(".", "/"), "detail": finding.message, "line": finding.line,
            "fix": finding.fix,
        }
        for finding in refused.findings
    ]  # fmt: skip
    return Problem(422, "invalid_policy", "The policy has faults; nothing was changed.", errors=errors)
