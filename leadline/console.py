"""One plain line for each thing that happens to a lead, without its personal data: its id stands for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

Data = Mapping[str, Any]
Names = Mapping[str, str]

NO_NAMES: Names = MappingProxyType({})
# Who is meant in events: by id, which only the feed's `rep` names too.
TOLD_BY_ID = ("recipient", "person_id")
# States in which a person holds the lead.
HELD = frozenset({"assigned", "accepted", "working", "opportunity"})


@dataclass(frozen=True, slots=True)
class Line:
    """What happened at an instant, as a line for the terminal."""

    at: datetime
    text: str


def line_of(event: Mapping[str, Any], names: Names = NO_NAMES) -> Line | None:
    """Return the line for one event of the feed, None for those that say nothing to a person at a terminal.

    `event` has CloudEvents names: `type`, `time`, `data`. `names`: of people, by their ids.
    """
    data = event["data"]
    describe = LINES.get(event["type"])
    text = describe(_named(data, names)) if describe else None
    if text is None:
        return None
    return _line(datetime.fromisoformat(str(event.get("time") or data["at"])), data, text)


def scored_line(scored: Data, at: datetime) -> Line:
    """Return the line for a scoring snapshot (`leadline.lead.scored.v1`)."""
    reason = scored.get("level_reason") or "threshold"
    because = "" if reason == "threshold" else f" ({_words(reason)})"
    why = f", over the threshold{because}" if scored.get("enters") else ""
    since = f" since cycle {scored['cycle']} opened" if scored.get("cut") else ""
    points = f"{_points(scored['fit'])} fit, {_points(scored['engagement'])} engagement{since}"
    return _line(at, scored, f"scored {points}: {scored['grade']}{why}")


def names_of(people: Mapping[str, Any]) -> Names:
    """Return the names in an answer of `/v1/people`, by id."""
    return {person["id"]: person["name"] for person in people["data"] if person.get("name")}


def _line(at: datetime, data: Data, text: str) -> Line:
    return Line(at, f"{_clock(at.isoformat())}  {str(data.get('lead_id', ''))[:11]:<11}  {text}")


def _named(data: Data, names: Names) -> Data:
    known = {field: names[data[field]] for field in TOLD_BY_ID if data.get(field) in names}
    return {**data, **known}


def _qualified(data: Data) -> str:
    queue = f"; waits in queue {data['queue']}" if data.get("queue") else ""
    return f"qualified (MQL, grade {data.get('grade', '?')}){queue}"


def _assigned(data: Data) -> str:
    return f"handed over to {_person(data)}: {data.get('reason', '')}{_due(data)}"


def _accepted(data: Data) -> str:
    return f"accepted by {_person(data)}" + (" (implied by contact)" if data.get("implied") else "")


def _contacted(data: Data) -> str:
    channel = f" by {data['channel']}" if data.get("channel") else ""
    return f"first touch{channel} from {_person(data)}"


def _stage(data: Data) -> str:
    amount = f", {data['amount']:,.0f} {data.get('currency') or ''}".rstrip() if data.get("amount") else ""
    return f"opportunity at stage {data.get('stage', '?')}{amount}"


def _closed(data: Data) -> str:
    reason = f" ({_words(data['reason'])})" if data.get("reason") else ""
    outcome = {
        "timed_out": "taken from {0}: not accepted in time",
        "reassigned": "reassigned away from {0}",
        "rejected": "rejected by {0}",
        "handed_back": "handed back by {0}",
        "superseded": "hand-off of {0} superseded by a merge",
        "passed_to_closer": "passed on by {0} to a closer",
    }.get(str(data.get("outcome")), "closed with {0} as " + _words(data.get("outcome", "")))
    left = data.get("outcome") in ("timed_out", "reassigned", "handed_back") and not data.get("successor_id")
    return outcome.format(_person(data)) + reason + ("; waits in a queue" if left else "")


def _moved(data: Data) -> str | None:
    # The other moves have an event of their own, which says more.
    said_elsewhere = {"qualified", "assigned", "accepted", "working", "opportunity", "won", "lost"}
    to_state = str(data.get("to_state"))
    # Who recycles a lead that a person holds closes the hand-off, and that line has the reason.
    if to_state in said_elsewhere or (to_state == "recycled" and data.get("from_state") in HELD):
        return None
    reason = f": {_words(data['reason'])}" if data.get("reason") else ""
    return f"{data.get('from_state')} -> {to_state}{reason}"


def _cycle(data: Data) -> str:
    return f"cycle {data.get('cycle')} opened ({_words(data.get('why', ''))})"


def _warned(data: Data) -> str:
    due = _clock(data.get("due_at"))
    return f"warned: {_words(data.get('clock', ''))} is due at {due}, told {_recipient(data)}"


def _breached(data: Data) -> str:
    outage = ", while Leadline was down" if data.get("during_outage") else ""
    whose = f" of {_person(data)}" if data.get("person_id") else ""
    return f"breached: {_words(data.get('clock', ''))}{whose}, due at {_clock(data.get('due_at'))}{outage}"


def _escalated(data: Data) -> str:
    action = {
        "reassign": f"reassigning from {_person(data)}",
        "out_of_rotation": f"{_person(data)} out of rotation",
    }.get(str(data.get("action")), f"told {_recipient(data)}")
    return f"escalated: {_words(data.get('clock', ''))}, rung {data.get('rung', 0)}, {action}"


def _merged(data: Data) -> str:
    return f"merged into {str(data.get('survivor_id'))[:11]}"


LINES: Mapping[str, Callable[[Data], str | None]] = {
    "leadline.lead.qualified.v1": _qualified,
    "leadline.lead.lifecycle_changed.v1": _moved,
    "leadline.lead.merged.v1": _merged,
    "leadline.handoff.assigned.v1": _assigned,
    "leadline.handoff.accepted.v1": _accepted,
    "leadline.handoff.contacted.v1": _contacted,
    "leadline.handoff.stage_changed.v1": _stage,
    "leadline.handoff.closed.v1": _closed,
    "leadline.handoff.cycle_opened.v1": _cycle,
    "leadline.sla.warned.v1": _warned,
    "leadline.sla.breached.v1": _breached,
    "leadline.sla.breach_corrected.v1": lambda data: f"breach of {_words(data.get('clock', ''))} corrected",
    "leadline.sla.escalated.v1": _escalated,
}


def _person(data: Data) -> str:
    return str((data.get("rep") or {}).get("name") or data.get("person_id") or "nobody")


def _recipient(data: Data) -> str:
    return str(data.get("recipient") or data.get("person_id") or data.get("queue") or "nobody")


def _due(data: Data) -> str:
    due = data.get("due") or {}
    return f"; accept by {_clock(due['accept'])}" if due.get("accept") else ""


def _points(milli_points: int) -> str:
    return f"{milli_points / 1000:.0f}"


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _clock(instant: object) -> str:
    if not instant:
        return "--:--:--"
    return datetime.fromisoformat(str(instant)).astimezone().strftime("%H:%M:%S")
