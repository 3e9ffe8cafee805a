"""A team that is always open, and the way of a lead to one of its reps, over the bus and HTTP."""

from typing import Any

from tests.integration.routing.desk_support import a_snapshot
from tests.support.eventually import eventually
from tests.support.routing_world import RoutingWorld

ALWAYS_OPEN = """
calendars:
  always: {timezone: UTC, hours: {daily: "00:00-24:00"}}
teams:
  all: {name: All, head: petra, calendar: always}
people:
  anna: {name: Anna Vogel, email: anna@example.com, team: all, calendar: always, manager: petra}
  bilal: {name: Bilal Aziz, email: bilal@example.com, team: all, calendar: always, manager: petra}
  petra: {name: Petra Lindgren, email: petra@example.com, calendar: always, role: head of sales}
queues:
  triage: {name: Triage, owner: petra, calendar: always}
last_queue: triage
rules:
  - {id: everybody, to: [team: all, queue: triage]}
"""


async def handed_over(world: RoutingWorld, lead_id: str) -> dict[str, Any]:
    """Let scoring tell of a lead over the threshold; return its hand-off."""
    await world.publish(a_snapshot(lead_id))

    async def assigned() -> bool:
        return await world.state(lead_id) == "assigned"

    await eventually(assigned, what="the lead is assigned")
    found = await world.get(f"/v1/handoffs?lead={lead_id}")
    handoff: dict[str, Any] = found["data"][0]
    return handoff
