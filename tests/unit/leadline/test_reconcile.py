"""What is checked between the services: nothing that one handed on may be unknown to the next."""

import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import pytest

from leadline import reconcile
from leadline.reconcile import events_arrive, leads_arrive, log_arrives
from shared.bus.memory import MemoryBus
from shared.bus.port import Outgoing
from shared.contracts.envelope import Attributes, to_headers


class Ingest:
    """Receipts in pages of what is asked for."""

    def __init__(self, *receipts: tuple[str, str, bool]) -> None:
        self._receipts = sorted(receipts)

    async def receipt_events(self, after: str | None, limit: int) -> list[tuple[str, str, bool]]:
        return [receipt for receipt in self._receipts if after is None or receipt[0] > after][:limit]


class Scoring:
    """Knows some events; one that is in flight arrives after it was asked for a few times."""

    def __init__(self, events: Collection[str] = (), in_flight: str = "", leads: Sequence[str] = ()) -> None:
        self._events = set(events)
        self._in_flight = in_flight
        self._leads = leads
        self._asked = 0

    async def missing_events(self, event_ids: Collection[str]) -> list[str]:
        self._asked += 1
        if self._asked > 2:
            self._events.add(self._in_flight)
        return [event for event in event_ids if event not in self._events]

    async def published_leads(self, after: str | None, limit: int) -> list[tuple[str, int, int]]:
        return [(lead, 1, 1) for lead in self._leads if after is None or lead > after][:limit]


class Routing:
    def __init__(self, *leads: str) -> None:
        self._leads = set(leads)

    async def known_leads(self, lead_ids: Sequence[str]) -> set[str]:
        return self._leads & set(lead_ids)


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "LOOK_AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(reconcile, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(reconcile, "PAGE", 2)


async def test_a_lost_event_is_found_over_all_pages() -> None:
    ingest = Ingest(*((f"sub_{n}", f"event {n}", True) for n in range(5)))
    finding = await events_arrive(ingest, Scoring({"event 0", "event 1", "event 2", "event 4"}))
    assert (finding.checked, finding.problems) == (5, ["event 3"])


async def test_an_event_that_is_on_its_way_is_not_lost() -> None:
    finding = await events_arrive(Ingest(("sub_1", "late", True)), Scoring(in_flight="late"))
    assert finding.ok


async def test_an_event_that_waits_in_the_outbox_is_in_its_place() -> None:
    finding = await events_arrive(Ingest(("sub_1", "unsent", False)), Scoring())
    assert (finding.checked, finding.ok) == (1, True)


async def test_an_event_of_the_log_that_scoring_passed_without_trace_is_found() -> None:
    bus, ids = MemoryBus({"leadline.activity": 2}), [str(uuid.UUID(int=n)) for n in range(9)]
    await bus.append([_message(event_id) for event_id in ids])
    heads = await bus.heads("leadline.activity")
    reached = {place: end for place, (_, end) in heads.items()}
    finding = await log_arrives(bus, reached, Scoring(ids[:-1]))
    assert (finding.checked, finding.problems) == (9, [ids[-1]])


async def test_an_event_that_scoring_has_not_reached_yet_is_not_lost() -> None:
    bus = MemoryBus({"leadline.activity": 2})
    await bus.append([_message(str(uuid.UUID(int=1)))])
    reached = dict.fromkeys(await bus.heads("leadline.activity"), 0)
    assert (await log_arrives(bus, reached, Scoring())).ok


def _message(event_id: str) -> Outgoing:
    attributes = Attributes(event_id, "test", "leadline.activity.recorded.v1", datetime.now(UTC), event_id)
    return Outgoing("leadline.activity", event_id, to_headers(attributes), b"{}")


async def test_a_lead_that_routing_never_heard_of_is_found() -> None:
    finding = await leads_arrive(Scoring(leads=["ld_1", "ld_2", "ld_3"]), Routing("ld_1", "ld_2"))
    assert (finding.checked, finding.problems) == (3, ["ld_3"])
