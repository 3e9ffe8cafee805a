"""The log: nothing in it is lost, changed or made up, what was committed is in it, and it was read once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from shared.contracts.topics import ACTIVITY, HANDOFFS, LEADS
from shared.ids import event_id
from shared.outbox.append import sent_id
from tests.faults.evidence import Evidence
from tests.faults.log import Kept


def offsets_are_dense(evidence: Evidence) -> Iterator[str]:
    """In each partition every offset once, in order. No transactions: Kafka has no gaps either."""
    for place, messages in _by_place(evidence).items():
        for one, other in pairwise(messages):
            if other.offset != one.offset + 1:
                yield f"{_name(place)} goes from {one.offset} to {other.offset}"


def what_was_read_stays(evidence: Evidence) -> Iterator[str]:
    """Every offset that somebody read while everything broke holds the same message at the end."""
    now = {(message.topic, message.partition, message.offset): message.digest for message in evidence.log}
    for place, digest in evidence.seen.items():
        if now.get(place) != digest:
            yield f"{_name(place)} at {place[2]} holds {'another message' if place in now else 'nothing'} now"
    if not evidence.seen:
        yield "nobody has read the log"


def what_is_committed_is_sent(evidence: Evidence) -> Iterator[str]:
    """Every row of an outbox is in its topic, and marked as sent."""
    there = {(message.topic, message.id) for message in evidence.log}
    for row in evidence.tables["outbox"]:
        if (row["topic"], sent_id(row["event_id"])) not in there:
            yield f"{row['service']}'s event {row['event_id']} is not in {row['topic']}"
        elif not row["sent"]:
            yield f"{row['service']}'s event {row['event_id']} is not marked as sent"


def nothing_else_is_sent(evidence: Evidence) -> Iterator[str]:
    """A message is a row of an outbox, or an event that a client has sent."""
    known = {(row["topic"], sent_id(row["event_id"])) for row in evidence.tables["outbox"]}
    sources = {row["source"] for row in evidence.tables["timeline"]}
    sent = {entry.id for entry in evidence.journal if entry.op == "event"}
    known |= {(ACTIVITY.name, event_id(source, item)) for source in sources for item in sent}
    for message in evidence.log:
        if (message.topic, message.id) not in known:
            yield f"{message.topic}/{message.partition} has {message.id} at {message.offset}, sent by nobody"


def each_lead_is_told_in_order(evidence: Evidence) -> Iterator[str]:
    """Of each lead, what was committed first is first in the log; what is sent again changes nothing."""
    order = {
        (row["topic"], row["key"], sent_id(row["event_id"])): row["id"] for row in evidence.tables["outbox"]
    }
    told: set[tuple[str, str, str]] = set()
    latest: dict[tuple[str, str], int] = {}
    for message in evidence.log:
        event = (message.topic, message.key, message.id)
        if message.topic not in (LEADS.name, HANDOFFS.name) or event not in order or event in told:
            continue
        told.add(event)
        number = order[event]
        if number < latest.get(event[:2], 0):
            yield f"{message.id} of lead {message.key} comes after a later one in {message.topic}"
        latest[event[:2]] = number


def everything_is_handled_once(evidence: Evidence) -> Iterator[str]:
    """Each group stands at the end of each partition, and has handled as many messages as there are."""
    places = _by_place(evidence)
    stands = Counter((row["topic"], row["partition"]) for row in evidence.tables["positions"])
    for row in evidence.tables["positions"]:
        place = (row["topic"], row["partition"])
        messages = places.get(place, [])
        end = messages[-1].offset + 1 if messages else 0
        if row["next_offset"] != end or row["handled"] != len(messages):
            yield (
                f"{row['consumer_group']} stands at {row['next_offset']} of {end} in {_name(place)},"
                f" and has handled {row['handled']} of {len(messages)} messages"
            )
    for place in places.keys() - stands.keys():
        yield f"{_name(place)} is read by nobody"


def _by_place(evidence: Evidence) -> dict[tuple[str, int], list[Kept]]:
    places: defaultdict[tuple[str, int], list[Kept]] = defaultdict(list)
    for message in evidence.log:
        places[message.topic, message.partition].append(message)
    return dict(places)


def _name(place: tuple[str, int] | tuple[str, int, int]) -> str:
    return f"{place[0]}/{place[1]}"


CHECKS = (
    offsets_are_dense,
    what_was_read_stays,
    what_is_committed_is_sent,
    nothing_else_is_sent,
    each_lead_is_told_in_order,
    everything_is_handled_once,
)
