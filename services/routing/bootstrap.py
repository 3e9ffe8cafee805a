"""Puts routing together: pool, bus, policy, API, roles."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.types import ASGIApp

from services.routing.adapters.due_rows import DueRows
from services.routing.adapters.holiday_dates import CountryHolidays, tzdata_version
from services.routing.adapters.policies import PolicyShelf
from services.routing.adapters.postgres_reads import PostgresReads
from services.routing.adapters.postgres_store import PostgresStore
from services.routing.adapters.views import RoutingViews
from services.routing.domain.policy import Policy
from services.routing.entrypoints.commands import (
    clock_commands,
    feedback_route,
    handoff_commands,
    lead_commands,
)
from services.routing.entrypoints.events import HandleLeads
from services.routing.entrypoints.feed import feed_routes
from services.routing.entrypoints.people import people_routes
from services.routing.entrypoints.policies import policy_routes, publish_text
from services.routing.entrypoints.reads import read_routes
from services.routing.entrypoints.timers import Timers
from services.routing.settings import RoutingSettings
from services.routing.usecases.lint_policy import lint
from services.routing.usecases.ports import Store
from shared.bus.port import Bus
from shared.clock import Clock
from shared.config_file import ConfigError, parse
from shared.consumer.consumer import Consumer, ConsumerOptions
from shared.contracts.topics import HANDOFFS, LEADS, consumer_group
from shared.db.database import Database, Transaction
from shared.foundation import Foundation, open_foundation
from shared.outbox.feed_wakeup import FeedHints, feed_hints
from shared.outbox.relay import Relay
from shared.runtime import RoleName, Runner, WiredService
from shared.web.app import create_app, dispatch, limits_of

# So many leads are decided in half of a transaction's 500 ms, with a full team of 200 to weigh for each:
# timers wait for the teams and leads that it has locked, and may be late by no more than that.
CONSUMING = ConsumerOptions(max_records=50)

DEFAULT_POLICY = Path(__file__).parent / "defaults" / "policy.yaml"

StoreOf = Callable[[Transaction, datetime | None], Store]


@asynccontextmanager
async def wire(
    settings: RoutingSettings, *, bus: Bus | None = None, clock: Clock | None = None
) -> AsyncIterator[WiredService]:
    """Open routing; it closes when the block ends. `bus` is opened from the settings where none is given.

    Routing's instants are the database's (DESIGN: DB clock only); `clock` serves the key cache alone.
    """
    async with (
        open_foundation(settings, "routing", bus=bus, clock=clock) as ground,
        feed_hints(ground.database) as hints,
    ):
        shelf = PolicyShelf()
        store_of = store_maker(shelf)
        await install_default(ground.database, store_of)
        reads = PostgresReads(ground.database, shelf)
        yield WiredService(
            name="routing",
            api=_api(settings, ground, store_of, reads, hints),
            views=RoutingViews(ground.database, ground.bus, reads),
            roles=_roles(settings, ground, store_of),
        )


def store_maker(shelf: PolicyShelf) -> StoreOf:
    """Return how a store is made on an open transaction."""

    def store_of(tx: Transaction, now: datetime | None) -> Store:
        return PostgresStore(tx, shelf, now)

    return store_of


def compile_policy(text: str, version: str) -> Policy:
    """Lint a policy's YAML text into that version, holidays resolved; raise ConfigError with the findings."""
    holidays = CountryHolidays(datetime.now(UTC).date())
    document = parse(text, file="policy.yaml")
    found = lint(document, version=version, holiday_dates=holidays, tzdata_version=tzdata_version())
    if isinstance(found, list):
        raise ConfigError(found)
    return found


async def install_default(database: Database, store_of: StoreOf) -> None:
    """Publish the default policy where none has ever been."""
    async with database.connection() as connection:
        if await connection.fetchval("SELECT 1 FROM routing.policy LIMIT 1"):
            return
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    await publish_text(database, store_of, compile_policy, text, pushed_by="default", only_first=True)


def _api(
    settings: RoutingSettings, ground: Foundation, store_of: StoreOf, reads: PostgresReads, hints: FeedHints
) -> ASGIApp:
    database = ground.database
    app = create_app("Leadline routing", authenticate=ground.keys.find, ready=ground.ready)
    for router in (
        handoff_commands(database, store_of),
        clock_commands(database, store_of),
        lead_commands(database, store_of),
        feedback_route(database, store_of),
        people_routes(database, store_of, reads),
        policy_routes(database, store_of, reads, compile_policy),
        feed_routes(reads, hints),
        read_routes(reads),
    ):
        app.include_router(router)
    return dispatch(app, service="routing", limits=limits_of(settings))


def _roles(settings: RoutingSettings, ground: Foundation, store_of: StoreOf) -> Mapping[RoleName, Runner]:
    database, bus = ground.database, ground.bus
    return {
        "worker": Consumer(
            bus,
            database,
            group=consumer_group("routing"),
            topics=[LEADS.name],
            handler=HandleLeads(store_of),
            options=CONSUMING,
        ),
        "relay": Relay(bus, database, feed_types=HANDOFFS.types, keep=timedelta(days=settings.feed_days)),
        "timer": Timers(database, DueRows(database), store_of),
    }
