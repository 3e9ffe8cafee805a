"""A small sales team, snapshots of leads, and routing's use cases on a real database at a chosen instant."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.routing.adapters.due_rows import DueRows
from services.routing.adapters.lead_files import read
from services.routing.adapters.policies import PolicyShelf
from services.routing.adapters.postgres_store import PostgresStore
from services.routing.adapters.reconcile import reconcile
from services.routing.domain.business_calendar import DAY_SECONDS, Calendar, Interval
from services.routing.domain.lifecycle import Actor, Command
from services.routing.domain.policy import (
    ClockKind,
    ClockPolicy,
    Condition,
    Person,
    Policy,
    Queue,
    Reason,
    RecyclePolicy,
    Rule,
    Rung,
    SlaPolicy,
    Target,
    Team,
)
from services.routing.entrypoints.timers import Timers
from services.routing.usecases.act_on_handoff import Answer, act_on_handoff, act_on_lead
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.ports import Store
from services.routing.usecases.publish_policy import publish_policy
from services.routing.usecases.receive_snapshots import Message, receive_snapshots
from shared.contracts.leads import LeadMerged, LeadPerson, LeadScored, LeadUnmerged
from shared.db.database import Database, Transaction

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)
ROUND_THE_CLOCK = Calendar("always", "1", "UTC", ((Interval(0, DAY_SECONDS),),) * 7)


def a_person(name: str, **changes: Any) -> Person:
    return replace(Person(name, name.title(), f"{name}@example.test", "UTC", "always", ("team",)), **changes)


def a_policy(*names: str, version: str = "p1", **changes: Any) -> Policy:
    """A team of these people; clocks of minutes, reassignment a minute after a missed accept."""
    people = {name: a_person(name) for name in names or ("ann", "bob")}
    people["boss"] = a_person("boss", teams=(), role="head")
    clocks: dict[ClockKind, ClockPolicy] = {
        "assign": ClockPolicy("assign", 600, (300,), calendar_of="always"),
        "accept": ClockPolicy(
            "accept", 300, (240,),
            (Rung(0, "rep"), Rung(60, "rep", "reassign"), Rung(60, "rep", "out_of_rotation")),
            calendar_of="always",
        ),
        "first_touch": ClockPolicy("first_touch", 3600, (), (Rung(0, "manager"),), calendar_of="always"),
        "qualify": ClockPolicy("qualify", 86_400, calendar_of="always"),
        "stage_age": ClockPolicy("stage_age", 864_000, calendar_of="always"),
    }  # fmt: skip
    reasons = {
        "no_budget": Reason("no_budget", "No budget", "recycle", 3600),
        "junk": Reason("junk", "Junk", "disqualify"),
    }
    policy = Policy(
        version,
        {"always": ROUND_THE_CLOCK},
        people,
        {"team": Team("team", "Team", "boss", "always")},
        {"waiting": Queue("waiting", "Waiting", "boss", "always", ("team",))},
        "waiting",
        (Rule("all", Condition(), (Target("team", "team"), Target("queue", "waiting"))),),
        (SlaPolicy("all", Condition(), clocks, max_reassigns=1),),
        RecyclePolicy(reasons, max_cycles=5),
    )
    return replace(policy, **changes)


def a_snapshot(lead_id: str, revision: int = 1, **changes: Any) -> LeadScored:
    """A lead over the threshold, in its first cycle."""
    values: dict[str, Any] = {
        "lead_id": lead_id, "epoch": 1, "revision": revision, "cycle": 1, "as_of": T0, "fit": 60_000,
        "engagement": 50_000, "grade": "A1", "enters": True, "holds": True, "model_version": "m1",
        "lines": [],
        "person": LeadPerson(email=f"{lead_id}@example.test"),
    }  # fmt: skip
    return LeadScored(**{**values, **changes})


def merged(loser: str, survivor: str) -> LeadMerged:
    return LeadMerged(loser, survivor, 1, 1, T0)


def unmerged(lead_id: str, new: str, goes_to: str) -> LeadUnmerged:
    return LeadUnmerged(lead_id, new, goes_to, 1, 9, T0)


class Office:
    """Routing without processes: every call is one transaction at `now`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.shelf = PolicyShelf()
        self.now = T0
        self.timers = Timers(database, DueRows(database), self.store_of)

    def store_of(self, tx: Transaction, now: datetime | None) -> Store:
        return PostgresStore(tx, self.shelf, now)

    async def publish(self, policy: Policy) -> None:
        async with self.database.transaction() as tx:
            store = self.store_of(tx, self.now)
            number = await store.next_policy_number()
            await publish_policy(store, policy, number=number, body="", pushed_by="test")

    async def receive(self, *messages: Message) -> None:
        async with self.database.transaction() as tx:
            await receive_snapshots(self.store_of(tx, self.now), messages)

    async def act(self, handoff_id: str, command: Command, by: str = "ann") -> Answer:
        async with self.database.transaction() as tx:
            return await act_on_handoff(
                self.store_of(tx, self.now), handoff_id, command, Actor("person", by), type(command).__name__
            )

    async def act_on_lead(self, lead_id: str, command: Command, by: str = "boss") -> Answer:
        async with self.database.transaction() as tx:
            return await act_on_lead(self.store_of(tx, self.now), lead_id, command, Actor("person", by))

    async def pass_time(self, **by: float) -> int:
        """Move the instant on and let the timers do what is due; return how many clocks fired."""
        self.now += timedelta(**by)
        return await self.timers.turn(self.now)

    async def keep_running(self, **by: float) -> int:
        """The same with a heartbeat each minute: without one, time that passes is an outage."""
        until = self.now + timedelta(**by)
        while self.now < until:
            self.now = min(until, self.now + timedelta(minutes=1))
            await self.timers.beat(self.now)
        return await self.timers.turn(self.now)

    async def lead(self, lead_id: str) -> LeadFile:
        async with self.database.connection() as connection:
            file = await read(connection, lead_id)
        assert file is not None, f"no lead {lead_id}"
        return file

    async def open_handoff(self, lead_id: str) -> str:
        handoff = (await self.lead(lead_id)).handoff
        assert handoff is not None, f"lead {lead_id} has no open hand-off"
        return handoff.id

    async def told(self, kind: str = "") -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return (type, payload) of what was told, in order; of one type if named."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT type, payload FROM routing.outbox ORDER BY id")
        events = [(row["type"], msgspec.json.decode(row["payload"])) for row in rows]
        return [event for event in events if event[0].startswith(kind)]

    async def problems(self) -> list[str]:
        """Return what the reconciliation finds, save lateness: tests stand in another time."""
        findings = await reconcile(self.database)
        return [
            f"{finding.check}: {problem}"
            for finding in findings
            if not finding.check.startswith("no ")
            for problem in finding.problems
        ]
