"""What the state machine of routing runs on: a policy with its terms told a second time, and what is seen."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from services.routing.domain import lifecycle
from services.routing.domain.lifecycle import Command
from services.routing.domain.policy import ClockKind, PauseRule, Policy, Rung
from tests.integration.routing.desk_support import Office, a_person, a_policy
from tests.support.clock_model import ModelTerms
from tests.support.routing_model import MAX_REASSIGNS, Told

REPS = ("ann", "bob", "cid")
OPEN_CAP = 2
OUT_OF_ROTATION_SECONDS = 3_000
TERMS: dict[ClockKind, ModelTerms] = {
    "assign": ModelTerms(600, (300,)),
    "accept": ModelTerms(
        300, (240,), ((0, "notify"), (60, "reassign"), (60, "out_of_rotation")), {"waiting": 120}
    ),
    "first_touch": ModelTerms(3600, (600, 1800), ((0, "notify"), (600, "reassign")), {"waiting": 1800}),
    "qualify": ModelTerms(86_400),
    "stage_age": ModelTerms(864_000),
}
COMMANDS: dict[str, Command] = {
    "accept": lifecycle.Accept(), "contact": lifecycle.Contact("phone"), "win": lifecycle.Win(),
    "lose": lifecycle.Lose(), "hand_back": lifecycle.HandBack(), "reassign": lifecycle.Reassign(),
    "reopen": lifecycle.Reopen(), "disqualify": lifecycle.Disqualify("junk"),
}  # fmt: skip
ARGUMENTS = {
    "reject": ("no_budget", "junk"),
    "recycle": ("no_budget", "junk"),
    "qualify": ("unqualified", "qualified"),
}
TABLES = (
    "lead", "snapshot", "redirect", "split", "transition", "handoff", "act", "parked_command", "decision",
    "clock", "outage", "policy", "team", "person", "queue", "heartbeat", "outbox",
)  # fmt: skip


def the_policy() -> Policy:
    """The policy whose clocks are TERMS."""
    people = {name: a_person(name, open_cap=OPEN_CAP) for name in REPS}
    people["boss"] = a_person("boss", teams=(), role="head")
    policy = a_policy(*REPS, people=people)
    (sla,) = policy.sla
    clocks = {
        kind: replace(
            sla.clocks[kind],
            target_seconds=terms.target,
            warnings=terms.warnings,
            ladder=tuple(Rung(after, "rep", action) for after, action in terms.ladder),
            pauses=tuple(PauseRule(*pause) for pause in terms.pauses.items()),
        )
        for kind, terms in TERMS.items()
    }
    sla = replace(
        sla, clocks=clocks, max_reassigns=MAX_REASSIGNS, out_of_rotation_seconds=OUT_OF_ROTATION_SECONDS
    )
    return replace(policy, sla=(sla,))


def command_of(act: str, argument: str) -> Command:
    """Return the command of an act."""
    kinds: dict[str, Any] = {
        "reject": lifecycle.Reject,
        "recycle": lifecycle.Recycle,
        "qualify": lifecycle.Qualify,
    }
    return kinds[act](argument) if act in kinds else COMMANDS[act]


@dataclass(frozen=True)
class Seen:
    """One lead as the tables have it; `clocks` are the running ones as (kind, started at, due at)."""

    state: str
    cycle: int
    holder: str | None
    queue: str | None
    rejected_by: frozenset[str]
    handoff_id: str | None
    clocks: tuple[tuple[str, datetime, datetime], ...]


LEAD_ROWS = """
SELECT l.lead_id, l.state, l.cycle, l.holder, l.queue, l.rejected_by,
       (SELECT min(handoff_id) FROM routing.handoff h
        WHERE h.lead_id = l.lead_id AND closed_at IS NULL) AS handoff_id
FROM routing.lead l
"""
CLOCK_ROWS = "SELECT lead_id, kind, started_at, due_at FROM routing.clock WHERE state = 'running'"
SLA_ROWS = "SELECT id, type, payload FROM routing.outbox WHERE id > $1 ORDER BY id"


async def look(office: Office) -> dict[str, Seen]:
    """Return all leads as they stand."""
    async with office.database.connection() as connection:
        leads = await connection.fetch(LEAD_ROWS)
        clocks = await connection.fetch(CLOCK_ROWS)
    running: dict[str, list[tuple[str, datetime, datetime]]] = {}
    for row in clocks:
        running.setdefault(row["lead_id"], []).append((row["kind"], row["started_at"], row["due_at"]))
    return {
        row["lead_id"]: Seen(
            row["state"], row["cycle"], row["holder"], row["queue"], frozenset(row["rejected_by"]),
            row["handoff_id"], tuple(sorted(running.pop(row["lead_id"], []))),
        )
        for row in leads
    }  # fmt: skip


async def listen(office: Office, after: int) -> tuple[int, Counter[Told], Counter[str]]:
    """Return the last event's number, what clocks told since `after`, and how often each other type came."""
    async with office.database.connection() as connection:
        rows = await connection.fetch(SLA_ROWS, after)
    told: Counter[Told] = Counter()
    types: Counter[str] = Counter()
    for row in rows:
        kind = row["type"].removeprefix("leadline.").removesuffix(".v1")
        types[kind] += 1
        if kind.startswith("sla."):
            fact: dict[str, Any] = msgspec.json.decode(row["payload"])
            told[
                kind.removeprefix("sla."), fact["clock"], fact["lead_id"], fact.get("rung", 0),
                fact.get("action", "notify"), fact.get("during_outage", False),
            ] += 1  # fmt: skip
    return max((row["id"] for row in rows), default=after), told, types


async def clear(office: Office) -> None:
    """Forget everything that happened."""
    async with office.database.pool.acquire() as connection:
        await connection.execute("".join(f"DELETE FROM routing.{table};" for table in TABLES))
