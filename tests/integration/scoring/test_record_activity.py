"""Recording activity on a real database: identities, leads, scores, snapshots."""

from tests.support.postgres import OpenService
from tests.support.scoring_world import World, activity


async def test_a_visitor_who_fills_a_form_becomes_one_lead_with_its_visits(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(*(activity(n, n, anonymous_id="a1", path="/pricing") for n in range(1, 4)))
    assert await world.snapshots() == []
    await world.record(
        activity(
            9,
            9,
            anonymous_id="a1",
            kind="form",
            name="demo",
            email="ada@acme.example",
            traits={"title": "Director"},
        )
    )
    (snapshot,) = await world.snapshots()
    assert snapshot.enters
    assert snapshot.level_reason == "hand_raise"
    assert snapshot.person.email == "ada@acme.example"
    assert snapshot.fit == 30_000
    assert sum(line.points for line in snapshot.lines) == snapshot.fit + snapshot.engagement
    assert [recent.name for recent in snapshot.recent] == ["demo", "Home", "Home", "Home"]
