"""Eight requests on one hand-off at the same moment, over HTTP: one of them does it."""

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from tests.integration.routing.http_support import handed_over
from tests.support.routing_world import RoutingWorld

AT_ONCE = 8


async def at_once(world: RoutingWorld, path: str, *bodies: dict[str, Any]) -> list[httpx2.Response]:
    return await asyncio.gather(*(world.call("POST", path, body) for body in bodies))


async def told(world: RoutingWorld, kind: str) -> list[Any]:
    rows = await world.run_sql("SELECT payload FROM routing.outbox WHERE type = $1", f"leadline.{kind}.v1")
    return [row["payload"] for row in rows]


async def test_eight_accepts_of_the_same_rep_are_one_and_all_hear_the_same(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    by = {"by": handoff["person_id"]}

    answers = await at_once(world, f"/v1/handoffs/{handoff['id']}/accept", *[by] * AT_ONCE)

    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert len({answer.text for answer in answers}) == 1
    assert len(await told(world, "handoff.accepted")) == 1
    assert len(await told(world, "handoff.assigned")) == 1


async def test_of_eight_who_accept_one_hand_off_one_has_it_and_seven_hear_what_is_possible(
    world: RoutingWorld,
) -> None:
    handoff = await handed_over(world, "ld_1")

    answers = await at_once(
        world, f"/v1/handoffs/{handoff['id']}/accept", *({"by": f"rep{number}"} for number in range(AT_ONCE))
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    for refused in (answer.json() for answer in answers if answer.status_code == 409):
        assert (refused["code"], refused["state"]) == ("illegal_move", "accepted")
        assert "contact" in refused["legal"]
    assert len(await told(world, "handoff.accepted")) == 1
    assert all(finding.ok for finding in await world.service.views.reconcile())


@pytest.mark.parametrize("act", ["hand-back", "reject"])
async def test_eight_who_give_one_back_open_one_successor_at_most(world: RoutingWorld, act: str) -> None:
    handoff = await handed_over(world, "ld_1")
    body = {"by": handoff["person_id"]} | ({"reason": "no_budget"} if act == "reject" else {})

    answers = await at_once(world, f"/v1/handoffs/{handoff['id']}/{act}", *[body] * AT_ONCE)

    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert len({answer.text for answer in answers}) == 1
    assert len(await told(world, "handoff.closed")) == 1
    assert len(await told(world, "handoff.assigned")) == (2 if act == "hand-back" else 1)
    assert all(finding.ok for finding in await world.service.views.reconcile())
