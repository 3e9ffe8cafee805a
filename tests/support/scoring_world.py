"""Scoring on a real database, driven as its worker drives it: batches of activity, cycles, commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from services.scoring.adapters.features import derive_features
from services.scoring.adapters.keys import identity_of
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.adapters.postgres_reads import PostgresReads
from services.scoring.adapters.stores import postgres_stores
from services.scoring.adapters.views import ScoringViews
from services.scoring.domain.compile import CompiledModel, compile_model
from services.scoring.domain.conditions import Test
from services.scoring.domain.identity import Identity
from services.scoring.domain.model import BandEdges, Bands, FitRule, Group, Level, Model, Required, Signal
from services.scoring.domain.score import Score
from services.scoring.usecases.open_cycle import open_cycles
from services.scoring.usecases.ports import Engine, Entry, Stores
from services.scoring.usecases.read_activity import read_activity
from services.scoring.usecases.record_activity import record_activity
from services.scoring.usecases.rescore_leads import assess
from shared.bus.memory import MemoryBus
from shared.contracts.activity import ActivityRecorded, Context, Person
from shared.contracts.handoffs import CycleOpened
from shared.contracts.leads import SCORED, LeadScored
from shared.db.database import Database, Transaction
from tests.support.fake_clock import FakeClock

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

MODEL = Model(
    name="test",
    version="test@1",
    fit_rules=(
        FitRule("director", "Director", Test("title", "contains", "director"), 30_000),
        FitRule("germany", "In Germany", Test("country", "is", "de"), 20_000),
    ),
    signals=(
        Signal("visit", "Page view", 2_000, 10, kinds=("page",), cap_per_day=10_000, group="web"),
        Signal(
            "pricing", "Pricing page", 8_000, 20, kinds=("page",), paths=("/pricing",), group="web",
            bands=Bands(7, ((3, 5_000),)),
        ),
        Signal("signup", "Sign-up", 15_000, 30, kinds=("identify",)),
        Signal("demo", "Demo requested", 40_000, 30, kinds=("form",), names=("demo",), hand_raise=True),
    ),
    groups=(Group("web", "Web", 40_000),),
    fit_bands=BandEdges(60_000, 40_000, 20_000),
    engagement_bands=BandEdges(60_000, 30_000, 10_000),
    level=Level("threshold", 50, 50, 40_000, 25_000),
    required=Required(),
    routing_traits=("country", "company_domain", "title"),
)  # fmt: skip


def event_id(number: int) -> str:
    """Return a stable event id."""
    return str(UUID(int=number))


def activity(number: int, minute: float = 0, **given: Any) -> ActivityRecorded:
    """Return an activity `minute` minutes after T0; a page view of `/` unless said otherwise."""
    at = T0 + timedelta(minutes=minute)
    email, traits, phone = given.pop("email", None), given.pop("traits", {}), given.pop("phone", None)
    context = Context(path=given.pop("path", "/"), user_agent=given.pop("user_agent", None))
    filled: dict[str, Any] = {
        "event_id": event_id(number),
        "source": "site",
        "message_id": str(number),
        "kind": "page",
        "name": "Home",
        "occurred_at": at,
        "received_at": at,
        "body_hash": f"{number:064x}",
        "context": context,
        "person": Person(email, phone, traits),
    }
    return ActivityRecorded(**filled | given)


@dataclass(slots=True)
class World:
    """Scoring's use cases on one database; `now` moves by hand."""

    database: Database
    now: datetime = T0 + timedelta(hours=8)
    compiled: CompiledModel = field(default_factory=lambda: compile_model(MODEL))
    version: int = 1
    epoch: int = 1
    hub_limit: int = 50

    def engine(self) -> Engine:
        return Engine(self.version, self.compiled, derive_features, self.epoch, self.now, self.hub_limit)

    def entries(self, activities: Sequence[ActivityRecorded]) -> list[Entry]:
        return [read_activity(message, self.compiled, _bot_by_name) for message in activities]

    async def record(self, *activities: ActivityRecorded) -> None:
        """Handle one batch in one transaction."""
        await self.store(self.entries(activities))

    async def store(self, entries: Sequence[Entry]) -> None:
        async with self.database.transaction() as tx:
            await record_activity(entries, postgres_stores(tx), self.engine())

    def reads(self) -> PostgresReads:
        """Return the reads behind the pages, with this world's model as version 1."""
        return PostgresReads(
            self.database, PostgresModels({self.version: self.compiled}), FakeClock(self.now)
        )

    async def clear(self) -> None:
        """Forget everything, for the next example."""
        tables = (
            "identity link never_link lead membership redirect cut timeline signal_count trait snapshot"
            " decay_timer outbox"
        )
        async with self.database.connection() as connection:
            for table in tables.split():
                await connection.execute(f"DELETE FROM scoring.{table}")

    async def open_cycle(self, *messages: CycleOpened) -> None:
        async with self.database.transaction() as tx:
            await open_cycles(messages, postgres_stores(tx), self.engine())

    async def leads(self) -> dict[frozenset[Identity], str]:
        """Return each lead's identities (owned anonymous ids aside) with its id."""
        rows = await self.fetch(
            "SELECT lead_id, array_agg(identity) AS members FROM scoring.membership GROUP BY 1"
        )
        return {frozenset(map(identity_of, row["members"])): row["lead_id"] for row in rows}

    async def lead_of(self, kind: Any, value: str) -> str:
        """Return the lead of one identity."""
        return next(
            lead_id for members, lead_id in (await self.leads()).items() if Identity(kind, value) in members
        )

    async def scores(self, as_of: datetime | None = None) -> dict[frozenset[Identity], Score]:
        """Return the score of every lead from the tables the worker uses."""
        async with self.database.transaction() as tx:
            stores = postgres_stores(tx)
            inputs = await stores.leads.inputs(list((await self.leads()).values()))
            return {i.members: assess(i, self.engine(), as_of or self.now).score for i in inputs}

    async def snapshots(self) -> list[LeadScored]:
        """Return every snapshot in the outbox, in order."""
        rows = await self.fetch("SELECT payload FROM scoring.outbox WHERE type = $1 ORDER BY id", SCORED)
        return [msgspec.json.decode(row["payload"], type=LeadScored) for row in rows]

    async def problems(self) -> list[str]:
        """Return what scoring's reconciliation finds."""
        found = await ScoringViews(self.database, MemoryBus(), self.reads()).reconcile()
        return [f"{finding.check}: {problem}" for finding in found for problem in finding.problems]

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        async with self.database.connection() as connection:
            return await connection.fetch(sql, *values)

    def stores(self, tx: Transaction) -> Stores:
        return postgres_stores(tx)


def _bot_by_name(message: ActivityRecorded) -> str | None:
    return "crawler" if message.context.user_agent == "bot" else None
