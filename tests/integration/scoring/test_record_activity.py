"""Recording activity on a real database: identities, leads, scores, snapshots."""

from datetime import timedelta

from services.scoring.domain.identity import Identity
from shared.contracts.handoffs import CycleOpened
from shared.contracts.leads import MERGED, UNMERGED
from tests.support.postgres import OpenService
from tests.support.scoring_world import T0, World, activity


async def test_a_visitor_who_fills_a_form_becomes_one_lead_with_its_visits(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(*(activity(n, n, anonymous_id="a1", path="/pricing") for n in range(1, 4)))
    assert await world.snapshots() == []
    visitor = await world.lead_of("anonymous", "a1")
    form = activity(9, 9, anonymous_id="a1", kind="form", name="demo", email="ada@acme.example",
                    traits={"title": "Director"})  # fmt: skip
    await world.record(form)
    (snapshot,) = await world.snapshots()
    assert snapshot.lead_id == visitor
    assert (snapshot.enters, snapshot.level_reason, snapshot.fit) == (True, "hand_raise", 30_000)
    assert snapshot.person.email == "ada@acme.example"
    assert snapshot.trigger_event_id == form.event_id
    assert sum(line.points for line in snapshot.lines) == snapshot.fit + snapshot.engagement
    assert [recent.name for recent in snapshot.recent] == ["demo", "Home", "Home", "Home"]


async def test_a_redelivered_batch_changes_no_row_and_tells_nothing(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    batch = [activity(n, n, anonymous_id="a1", email="ada@acme.example") for n in range(5)]
    await world.record(*batch)
    tables = ("timeline", "signal_count", "trait", "link", "lead", "snapshot", "outbox", "decay_timer")
    before = [await world.fetch(f"SELECT t.*, t.xmin FROM scoring.{table} t ORDER BY 1") for table in tables]
    await world.record(*reversed(batch))
    assert before == [
        await world.fetch(f"SELECT t.*, t.xmin FROM scoring.{table} t ORDER BY 1") for table in tables
    ]


async def test_an_event_that_comes_twice_counts_once(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    for _ in range(2):
        await world.record(activity(1, 1, user_id="ada"))
    counts = await world.fetch("SELECT signal, counted FROM scoring.signal_count")
    assert [tuple(row) for row in counts] == [("visit", 1)]


async def test_a_shared_device_belongs_to_each_person_from_their_log_in_on(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(6, 60, anonymous_id="kiosk"), activity(1, 10, anonymous_id="kiosk"))
    await world.record(activity(5, 50, anonymous_id="kiosk", user_id="bob"))
    # A late link: what happened from 20 to 50 was Ada, not Bob.
    await world.record(activity(2, 20, anonymous_id="kiosk", user_id="ada"))
    await world.record(activity(3, 30, anonymous_id="kiosk"))
    owners = {
        row["event_id"].int: row["owner"] for row in await world.fetch("SELECT * FROM scoring.timeline")
    }
    assert owners == {1: "u:ada", 2: "u:ada", 3: "u:ada", 5: "u:bob", 6: "u:bob"}
    assert set(await world.leads()) == {
        frozenset({Identity("user", "ada")}), frozenset({Identity("user", "bob")}),
    }  # fmt: skip


async def test_a_role_address_joins_nobody(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(
        activity(1, 1, user_id="ada", email="info@acme.example"),
        activity(2, 2, user_id="bob", email="info@acme.example"),
    )
    assert len(await world.leads()) == 3


async def test_past_its_limit_an_identity_becomes_a_hub_and_joins_no_more(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"), hub_limit=2)
    for number in range(5):
        await world.record(activity(number, number, user_id="shared", email=f"p{number}@acme.example"))
    joined = next(members for members in await world.leads() if Identity("user", "shared") in members)
    assert sorted(who.value for who in joined if who.kind == "email") == [
        "p0@acme.example", "p1@acme.example", "p2@acme.example",
    ]  # fmt: skip
    (hub,) = await world.fetch("SELECT identity FROM scoring.identity WHERE hub_at IS NOT NULL")
    assert hub["identity"] == "u:shared"


async def test_two_leads_that_turn_out_to_be_one_are_merged_into_the_older(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email="ada@acme.example"))
    older = await world.lead_of("email", "ada@acme.example")
    world.now += timedelta(minutes=1)
    await world.record(activity(2, 2, email="ada@home.example", kind="form", name="demo"))
    younger = await world.lead_of("email", "ada@home.example")
    await world.record(
        activity(3, 3, user_id="ada", email="ada@acme.example"),
        activity(4, 4, user_id="ada", email="ada@home.example"),
    )
    (merged,) = await world.fetch("SELECT key, payload FROM scoring.outbox WHERE type = $1", MERGED)
    assert merged["key"] == younger
    last = (await world.snapshots())[-1]
    assert (last.lead_id, last.merged_ids) == (older, [younger])
    assert last.hand_raise
    assert last.person.other_emails == ["ada@home.example"]
    assert await world.fetch("SELECT 1 FROM scoring.lead WHERE lead_id = $1", younger) == []


async def test_the_lower_body_of_one_event_id_wins_and_takes_its_links_along(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    wrong = activity(1, 5, user_id="ada", email="bob@acme.example", traits={"title": "CEO"})
    right = activity(1, 4, user_id="ada", email="ada@acme.example", traits={"country": "DE"})
    await world.record(wrong)
    before = await world.lead_of("user", "ada")
    await world.record(right)
    members = {lead_id: members for members, lead_id in (await world.leads()).items()}
    assert Identity("email", "bob@acme.example") not in members[await world.lead_of("user", "ada")]
    traits = await world.fetch("SELECT name FROM scoring.trait")
    assert [row["name"] for row in traits] == ["country"]
    (unmerged,) = await world.fetch("SELECT key FROM scoring.outbox WHERE type = $1", UNMERGED)
    assert unmerged["key"] == before


async def test_the_lower_body_of_one_event_id_wins_in_either_order(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    lower, higher = (
        activity(1, 4, anonymous_id="a1", name="Home"),
        activity(1, 5, anonymous_id="a1", name="Tour"),
    )
    await world.record(lower)
    await world.record(higher)
    rows = await world.fetch("SELECT name, occurred_at FROM scoring.timeline")
    assert [tuple(row) for row in rows] == [("Home", lower.occurred_at)]


async def test_a_cut_starts_the_level_anew_and_is_echoed_with_its_cycle(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email="ada@acme.example", kind="form", name="demo"))
    lead_id = await world.lead_of("email", "ada@acme.example")
    cut = T0 + timedelta(minutes=30)
    second = CycleOpened(lead_id, 2, cut, cut, "recycled")
    first = CycleOpened(lead_id, 1, T0, T0, "reopened")
    await world.open_cycle(second)
    told = (await world.snapshots())[-1]
    assert (told.cycle, told.cut, told.enters, told.hand_raise) == (2, cut, False, False)
    assert told.engagement == 0
    assert [line.points for line in told.lines if line.kind == "cut"] == [-40_000]
    number = len(await world.snapshots())
    await world.open_cycle(first)
    await world.open_cycle(second)
    assert len(await world.snapshots()) == number
    await world.record(activity(2, 45, email="ada@acme.example", kind="form", name="demo"))
    again = (await world.snapshots())[-1]
    assert (again.cycle, again.enters, again.engagement) == (2, True, 40_000)


async def test_a_cycle_told_to_a_merged_lead_reaches_its_survivor(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email="ada@acme.example"))
    await world.record(activity(2, 2, email="ada@home.example"))
    ids = {await world.lead_of("email", f"ada@{place}.example") for place in ("acme", "home")}
    await world.record(
        activity(3, 3, user_id="ada", email="ada@acme.example"),
        activity(4, 4, user_id="ada", email="ada@home.example"),
    )
    survivor = await world.lead_of("user", "ada")
    (loser,) = ids - {survivor}
    await world.open_cycle(CycleOpened(loser, 3, T0, T0, "merged"))
    told = (await world.snapshots())[-1]
    assert (told.lead_id, told.cycle) == (survivor, 3)
    await world.open_cycle(CycleOpened("ld_unknown", 3, T0, T0, "merged"))


async def test_nothing_is_told_while_nothing_routing_reads_has_changed(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email="ada@acme.example"))
    assert len(await world.snapshots()) == 1
    await world.record(activity(2, 2, email="ada@acme.example"))  # 2 points more
    assert len(await world.snapshots()) == 1
    await world.record(activity(3, 3, email="ada@acme.example"), activity(4, 4, email="ada@acme.example"))
    assert [snapshot.engagement for snapshot in await world.snapshots()] == [2_000, 8_000]


async def test_what_a_bot_does_earns_nothing_and_is_shown(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(
        activity(1, 1, email="ada@acme.example", kind="form", name="demo", user_agent="bot"),
        activity(2, 2, email="ada@acme.example"),
    )
    (snapshot,) = await world.snapshots()
    assert not snapshot.enters
    assert [line.points for line in snapshot.lines if line.kind == "bot"] == [0]
    assert [recent.name for recent in snapshot.recent] == ["Home"]
