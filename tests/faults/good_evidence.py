"""Evidence of a small run in which all went well, and how to spoil it for the checks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.routing.domain.rotation import UNIT
from shared.contracts import handoffs as told
from shared.contracts.topics import ACTIVITY, HANDOFFS
from shared.ids import event_id
from tests.faults.controller import Disturbance
from tests.faults.evidence import Evidence
from tests.faults.journal import Entry
from tests.faults.log import Kept
from tests.faults.schedule import EVERYTHING

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVENT, FORM = event_id("site", "m-1"), "00000000-0000-0000-0000-000000000001"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def event(sequence: int, type: str, seconds: float, **data: Any) -> dict[str, Any]:
    when = at(seconds).isoformat()
    return {
        "sequence": sequence,
        "id": f"e-{sequence}",
        "type": type,
        "time": when,
        "subject": "ld_1",
        "data": {"lead_id": "ld_1", "at": when, **data},
    }


def done(op: str, name: str, status: int, **body: Any) -> Entry:
    return Entry(0, op, name, "ok" if status < 400 else "fail", [status, json.dumps(body)])


def paused(clock: Mapping[str, Any], *spans: tuple[float, float]) -> dict[str, Any]:
    """A clock paused from and until these seconds, each pause with what is left of two seconds."""
    pauses = [
        {
            "reason": "meeting",
            "started_at": at(began).isoformat(),
            "limit_at": at(began + 2).isoformat(),
            "ended_at": at(ended).isoformat(),
        }
        for began, ended in spans
    ]
    return {**clock, "body": {**clock["body"], "pauses": pauses}}


def decision(number: int, chosen: str, had: Mapping[str, int]) -> dict[str, Any]:
    """The record of a team's turn: two people who were there, the leads that each had before."""
    people = sorted(had)
    columns = {
        "count": len(people),
        "person_id": people,
        "team_id": "sales",
        "lost_because": ["" if person == chosen else "not_their_turn" for person in people],
        "assigned": [had[person] for person in people],
        "weight": 1, "share": 0, "deadline": None, "until": None, "numbers": {},
    }  # fmt: skip
    body = {"team_id": "sales", "method": "earliest_deadline", "path": [], "passed": "[]"}
    return {
        "decision_id": f"dec_{number}",
        "person_id": chosen,
        "body": body | {"candidates": json.dumps(columns)},
    }


def moved(begins: str, ends: str, reason: str = "") -> dict[str, str]:
    return {"lead_id": "ld_1", "from_state": begins, "to_state": ends, "reason": reason}


def sent(number: int) -> dict[str, Any]:
    """The row of an outbox."""
    return {
        "service": "routing", "id": number, "event_id": f"x-{number}", "topic": HANDOFFS.name, "key": "ld_1",
        "sent": True,
    }  # fmt: skip


def logged(offset: int, id: str, topic: str = HANDOFFS.name, seconds: float = 0) -> Kept:
    return Kept(topic, 0, offset, id, "ld_1", at(seconds), id.encode())


def position(topic: str, handled: int) -> dict[str, Any]:
    return {
        "consumer_group": "leadline-scoring", "topic": topic, "partition": 0, "next_offset": handled,
        "handled": handled,
    }  # fmt: skip


LOG = (logged(0, "x-1"), logged(1, "x-2"), logged(0, EVENT, ACTIVITY.name))


def good() -> Evidence:
    """One lead whose first rep let two seconds pass, and whose second accepted, twice."""
    terms = {
        "warnings": [1], "target_seconds": 2, "ladder": [{"after_seconds": 1}],
        "pauses": [{"reason": "meeting", "limit_seconds": 2}],
    }  # fmt: skip
    clock = {"lead_id": "ld_1", "kind": "accept", "body": {"terms": terms, "pauses": []}}
    handoff = {"lead_id": "ld_1", "cycle": 1, "acts": []}
    won = {"name": "accept", "by": "crm-1.accept", "at": at(3.5).isoformat()}
    same = [200, '{"state":"accepted"}']
    return Evidence(
        tables={
            "timeline": [
                {"event_id": EVENT, "source": "site", "kind": "page", "name": ""},
                {"event_id": FORM, "source": "website", "kind": "form", "name": ""},
            ],
            "receipts": [{"state": "mapped", "event_id": FORM, "raw": b'{"submission_token": "f-1"}'}],
            "quarantine": [{"id": "q-1", "message_id": "m-2", "state": "held"}],
            "letters": [],
            "handoffs": [
                handoff | {"handoff_id": "ho_1", "closed_at": at(3.1)},
                handoff | {"handoff_id": "ho_2", "closed_at": None, "acts": [won]},
            ],
            "parked": [{"parked_id": "pk_1", "act": "win", "body": {"note": "crm-2.win.0"}}],
            "transitions": [],
            "moves": [
                moved("nurturing", "qualified"),
                moved("qualified", "assigned"),
                moved("assigned", "accepted"),
            ],
            "decisions": [decision(1, "ana", {"ana": 0, "ben": 0}), decision(2, "ben", {"ana": 1, "ben": 0})],
            "teams": [
                {
                    "team_id": "sales",
                    "rotation": {"shares": {"ana": UNIT, "ben": UNIT}, "assigned": {"ana": 1, "ben": 1}},
                }
            ],
            "outbox": [sent(1), sent(2)],
            "positions": [position(HANDOFFS.name, 2), position(ACTIVITY.name, 1)],
            "redirects": [{"lead_id": "ld_2", "survivor_id": "ld_1", "at": at(-5)}],
            "splits": [{"lead_id": "ld_3", "from_id": "ld_1", "at": at(-4)}],
            "unmerged": [
                {"told": {"lead_id": "ld_1", "new_lead_id": "ld_3", "unmerged_at": at(-4).isoformat()}}
            ],
            "scoring_redirects": [{"lead_id": "ld_2", "survivor_id": "ld_1"}],
            "hand_links": [{"a": "e ada@example.com", "b": "e home@example.com", "event_id": "by hand"}],
            "acts": [{"handoff_id": "ho_2", "act": "accept", "actor": "ana"}],
            "clocks": [
                clock
                | {"clock_id": "ck_1", "handoff_id": "ho_1", "started_at": at(0), "stopped_at": at(3.1)},
                paused(clock, (3.2, 4.2))
                | {"clock_id": "ck_2", "handoff_id": "ho_2", "started_at": at(3.1), "stopped_at": at(3.5)},
            ],
            "outages": [],
            "snapshots": [
                {
                    "lead_id": "ld_1", "epoch": 1, "revision": 2, "routing_epoch": 1, "routing_revision": 2,
                    "survivor_id": None,
                }
            ],
            "leads": [
                {"lead_id": "ld_1", "state": "accepted", "cycle": 1, "body": {"enters": True, "cycle": 1}}
            ],
        },
        feed=[
            event(1, told.ASSIGNED, 0, handoff_id="ho_1"),
            event(2, told.SLA_WARNED, 1, clock_id="ck_1"),
            event(3, told.SLA_BREACHED, 2.1, clock_id="ck_1"),
            event(4, told.SLA_ESCALATED, 3.1, clock_id="ck_1", rung=1),
            event(5, told.CLOSED, 3.1, handoff_id="ho_1"),
            event(6, told.ASSIGNED, 3.1, handoff_id="ho_2"),
            event(7, told.ACCEPTED, 3.5, handoff_id="ho_2"),
            event(8, told.LIFECYCLE_CHANGED, 3.5, from_state="nurturing", to_state="qualified"),
            event(9, told.LIFECYCLE_CHANGED, 3.5, from_state="qualified", to_state="assigned"),
            event(10, told.LIFECYCLE_CHANGED, 3.5, from_state="assigned", to_state="accepted"),
        ],
        followed=[f"e-{number}" for number in range(1, 11)],
        journal=[
            *(Entry(0, "event", one, "invoke") for one in ("m-1", "m-2")),
            *(Entry(0, "event", one, "ok", [200, ""]) for one in ("m-1", "m-2")),
            Entry(0, "form", "f-1", "invoke"),
            Entry(0, "form", "f-1", "unknown", [503, ""]),
            Entry(0, "form", "f-1", "ok", [200, ""]),
            *(Entry(0, "act", "ho_2 accept", outcome, same) for outcome in ("invoke", "ok", "ok")),
            done("feedback", "crm-1.accept.0", 200, changed=True, parked_id=None),
            done("feedback", "crm-1.accept.1", 200, changed=False, parked_id=None),
            done("feedback", "crm-2.win.0", 202, changed=False, parked_id="pk_1"),
            done("pause", "ho_2 0", 200, paused="meeting"),
            done("merge", "merge-1 ld_1 ld_2", 200, lead_id="ld_1"),
            done("unmerge", "unmerge-1 ld_1", 200, lead_id="ld_1", new_lead_id="ld_3"),
        ],
        disturbances=[],
        status={},
        reconcile={"findings": [{"check": "all", "checked": 1, "problems": []}]},
        log=LOG,
        seen={(HANDOFFS.name, 0, 0): b"x-1"},
    )  # fmt: skip


def with_table(name: str, *rows: Mapping[str, Any], keep: int = 99) -> Evidence:
    evidence = good()
    return replace(evidence, tables={**evidence.tables, name: [*evidence.tables[name][:keep], *rows]})


def changed(name: str, number: int, **fields: Any) -> Evidence:
    evidence = good()
    rows = [dict(row) for row in evidence.tables[name]]
    rows[number] |= fields
    return replace(evidence, tables={**evidence.tables, name: rows})


def with_feed(*numbers: int, **extra: Any) -> Evidence:
    feed = {one["sequence"]: one for one in good().feed} | extra.get("more", {})
    return replace(good(), feed=[feed[number] for number in numbers])


def journal_of(*entries: Entry) -> Evidence:
    return replace(good(), journal=[*good().journal, *entries])


def struck(begin: float, end: float, victim: str = "work", how: str = "kill") -> Disturbance:
    return Disturbance(at(begin), at(end), at(end), victim, how)


def healed(op: str, seconds: float, victim: str = "postgres") -> Evidence:
    """A fault that was over after a second, and an operation that was tried in it and taken after T0."""
    tried = Entry(at(0.5).timestamp(), op, "m-1", "invoke")
    answered = Entry(at(seconds).timestamp(), op, "m-1", "ok", [200, "{}"])
    return replace(journal_of(tried, answered), disturbances=[struck(0, 1, victim)])


def log_of(*messages: Kept) -> Evidence:
    return replace(good(), log=messages)


OUTAGE = {"began_at": at(0.2), "ended_at": at(66)}


def broken_down(*, outages: Any = (OUTAGE,), marked: bool = True, acted: float = 68.1) -> Evidence:
    """The same clock through an outage of over a minute: its breach is ours, the rep has two seconds more."""
    evidence = changed("clocks", 0, stopped_at=at(acted))
    rows = [dict(row) for row in evidence.tables["clocks"]]
    terms = rows[0]["body"]["terms"] | {"ladder": [{"after_seconds": 1, "action": "reassign"}]}
    rows[0]["body"] = rows[0]["body"] | {"terms": terms}
    moved = {
        2: event(2, told.SLA_WARNED, 66.1, clock_id="ck_1"),
        3: event(3, told.SLA_BREACHED, 66.1, clock_id="ck_1", during_outage=marked),
        4: event(4, told.SLA_ESCALATED, acted, clock_id="ck_1", rung=1),
    }
    return replace(
        evidence,
        tables={**evidence.tables, "clocks": rows, "outages": outages},
        feed=[moved.get(one["sequence"], one) for one in evidence.feed],
        disturbances=[replace(struck(0.5, 67, EVERYTHING), since=at(65))],
    )


def apart(*, opened: Sequence[int] = (), cycle: int) -> Evidence:
    """A lead that was never merged nor split, told to have opened cycles, and in that cycle now."""
    evidence = changed("leads", 0, cycle=cycle)
    told_of = [
        event(20 + number, told.CYCLE_OPENED, 4, cycle=one, why="recycled")
        for number, one in enumerate(opened)
    ]
    return replace(
        evidence,
        tables={**evidence.tables, "redirects": [], "splits": []},
        feed=[*evidence.feed, *told_of],
    )
