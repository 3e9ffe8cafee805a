"""Routing's own database, store and policy for the parts that measure its use cases without processes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.routing.adapters.policies import PolicyShelf
from services.routing.bootstrap import StoreOf, store_maker
from services.routing.domain.policy import Policy
from services.routing.entrypoints.policies import publish_text
from services.routing.usecases.lint_policy import lint
from shared.config_file import ConfigDocument, ConfigError
from shared.contracts.leads import LeadPerson, LeadScored, ScoreLine
from shared.db.database import Database
from shared.db.pool import create_pool


@dataclass(frozen=True, slots=True)
class Ground:
    """A database with routing's policy published, and how a store is made on a transaction."""

    database: Database
    store_of: StoreOf


@asynccontextmanager
async def routing_on(url: str, policy: Mapping[str, Any]) -> AsyncIterator[Ground]:
    """Open routing's pool as the service does and publish a policy, linted."""

    def compiled(_: str, version: str) -> Policy:
        # Data, not text: the text of ten thousand people is longer than a file may be.
        found = lint(ConfigDocument("policy.yaml", policy, {}), version=version)
        if isinstance(found, list):
            raise ConfigError(found)
        return found

    pool = await create_pool(url, service="routing")
    try:
        ground = Ground(Database(pool, "routing"), store_maker(PolicyShelf()))
        await publish_text(ground.database, ground.store_of, compiled, "", pushed_by="bench")
        yield ground
    finally:
        await pool.close()


def policy_of_teams(people: int, teams: int) -> dict[str, Any]:
    """Return a policy of that many people, always there, in teams of equal size: one rule for each team.

    A lead's trait `territory` (t0, t1, ...) names its team.
    """
    always = {"calendar": "always"}
    members = {
        f"p{n}": {"name": f"Rep {n}", "email": f"p{n}@sales.example", "team": f"t{n % teams}"} | always
        for n in range(people)
    }
    chief = {"name": "Chief", "email": "chief@sales.example"} | always
    rules = [
        {"id": f"r{n}", "when": {"traits.territory": f"t{n}"}, "to": [{"team": f"t{n}"}, {"queue": "triage"}]}
        for n in range(teams)
    ]
    targets = {"assign": "15m", "first_touch": "1h", "qualify": "24h", "stage_age": "160h"}
    clocks: dict[str, Any] = {kind: {"target": target} for kind, target in targets.items()}
    clocks["accept"] = {"target": "30m", "ladder": [{"after": "200h", "tell": "manager"}]}
    return {
        "calendars": {"always": {"timezone": "UTC", "hours": {"daily": "00:00-24:00"}}},
        "teams": {f"t{n}": {"head": "chief"} | always for n in range(teams)},
        "people": members | {"chief": chief},
        "queues": {"triage": {"owner": "chief"} | always},
        "last_queue": "triage",
        "rules": [*rules, {"id": "rest", "to": [{"queue": "triage"}]}],
        "sla": [{"id": "standard", "clocks": clocks}],
        "recycle": {"reasons": {"no_budget": {"recycle": "90d"}}},
    }


def qualified_lead(number: int, territory: str) -> LeadScored:
    """Return a snapshot as scoring makes it of somebody who filled in a form: over the threshold."""
    now = datetime.now(UTC)
    lines = [
        ScoreLine("fit", "seniority", "rule", 25_000, "Decision maker", inputs={"traits.seniority": "vp"}),
        ScoreLine("fit", "size", "rule", 20_000, "Right size", inputs={"traits.employees": 420}),
        ScoreLine("fit", "industry", "rule", 0, "Industry", status="unknown"),
        ScoreLine("engagement", "demo", "signal", 40_000, "Asked for a demo", inputs={"count": 1}),
        ScoreLine("engagement", "pricing", "signal", 15_000, "Looked at prices", inputs={"count": 3}),
    ]
    return LeadScored(
        lead_id=f"ld_{number:012x}", epoch=1, revision=1, cycle=1, as_of=now, fit=45_000,
        engagement=55_000, grade="A2", enters=True, holds=True, model_version="m1", lines=lines,
        level_reason="hand_raise", hand_raise=True, traits={"territory": territory}, trigger_received_at=now,
        person=LeadPerson(f"p{number}@example.com"),
    )  # fmt: skip
