"""Every acknowledged id was processed exactly once: in the timeline or held; nothing that nobody sent."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from shared.ids import event_id
from tests.faults.clients import PATIENCE_SECONDS
from tests.faults.evidence import Evidence


def acknowledged(evidence: Evidence, op: str) -> set[str]:
    """Return the ids of an operation that were answered with 2xx."""
    return {entry.id for entry in evidence.journal if entry.op == op and entry.outcome == "ok"}


def events_arrive_once(evidence: Evidence) -> Iterator[str]:
    """Each acknowledged event: one row of the timeline, or one row of the quarantine."""
    sources = {row["source"] for row in evidence.tables["timeline"]} - {"website"}
    assert len(sources) <= 1, sources
    source = next(iter(sources), "")
    timeline = {row["event_id"] for row in evidence.tables["timeline"]}
    held = Counter(row["message_id"] for row in evidence.tables["quarantine"])
    for message_id in sorted(acknowledged(evidence, "event")):
        places = (event_id(source, message_id) in timeline) + held[message_id]
        if places != 1:
            yield f"acknowledged event {message_id} is in {places} places"


def forms_arrive_once(evidence: Evidence) -> Iterator[str]:
    """Each acknowledged form: one mapped receipt whose event is in the timeline."""
    timeline = {row["event_id"] for row in evidence.tables["timeline"]}
    mapped: Counter[str] = Counter()
    for receipt in evidence.tables["receipts"]:
        token = json.loads(receipt["raw"])["submission_token"]
        if receipt["state"] == "mapped":
            mapped[token] += 1
            if receipt["event_id"] not in timeline:
                yield f"form {token}: its event is not in the timeline"
        elif receipt["state"] != "duplicate":
            yield f"form {token} is {receipt['state']}"
    for token in sorted(acknowledged(evidence, "form")):
        if mapped[token] != 1:
            yield f"acknowledged form {token} has {mapped[token]} mapped receipts"


def nothing_is_made_up(evidence: Evidence) -> Iterator[str]:
    """The timeline holds only what was sent, and no more rows than that."""
    sent = {entry.id for entry in evidence.journal if entry.op in ("event", "form")}
    if len(evidence.tables["timeline"]) > len(sent):
        yield f"{len(evidence.tables['timeline'])} rows in the timeline for {len(sent)} ids that were sent"
    sources = {row["source"] for row in evidence.tables["timeline"]} - {"website"}
    known = {event_id(source, item) for source in sources for item in sent}
    known |= {receipt["event_id"] for receipt in evidence.tables["receipts"]}
    for row in evidence.tables["timeline"]:
        if row["event_id"] not in known:
            yield f"event {row['event_id']} was never sent"


def nothing_good_is_refused(evidence: Evidence) -> Iterator[str]:
    """Visitors' requests are never answered 4xx, and none is a dead letter: all of them are well formed."""
    for entry in evidence.journal:
        if entry.op in ("event", "form") and entry.outcome == "fail":
            yield f"{entry.op} {entry.id} was refused: {entry.told}"
    for letter in evidence.tables["letters"]:
        yield f"a dead letter of {letter['service']}: {letter['code']}"


def everything_is_acknowledged_in_the_end(evidence: Evidence) -> Iterator[str]:
    """What was tried was taken at last: the machine healed."""
    tried = {(entry.op, entry.id) for entry in evidence.journal if entry.outcome == "invoke"}
    ended = {(entry.op, entry.id) for entry in evidence.journal if entry.outcome in ("ok", "fail")}
    for op, item in sorted(tried - ended):
        yield f"{op} {item} was never answered"


def no_fault_is_ours(evidence: Evidence) -> Iterator[str]:
    """Under faults clients see no answer or 503; any other 5xx is a bug that a fault has brought to light.

    Whoever asks twice at once may be told that the first one still runs.
    """
    for entry in evidence.journal:
        if entry.outcome == "unknown" and isinstance(entry.told, list):
            status, body = entry.told
            if status != 503 and not (status == 409 and "idempotency_key_in_use" in body):
                yield f"{entry.op} {entry.id} was answered {entry.told}"


def nobody_waits_for_long(evidence: Evidence) -> Iterator[str]:
    """An api that is not struck itself answers within 5 s, whatever has happened to all others."""
    for entry in evidence.journal:
        if entry.outcome == "unknown" and entry.told == "ReadTimeout":
            until = datetime.fromtimestamp(entry.at, UTC)
            since = until - timedelta(seconds=PATIENCE_SECONDS)
            struck = [one for one in evidence.disturbances if entry.via in one.hit]
            if not any(one.begin <= until and one.end >= since for one in struck):
                yield (
                    f"{entry.op} {entry.id} had no answer of {entry.via} for {PATIENCE_SECONDS} s"
                    f" at {until.isoformat()}"
                )


CHECKS = (
    events_arrive_once,
    forms_arrive_once,
    nothing_is_made_up,
    nothing_good_is_refused,
    everything_is_acknowledged_in_the_end,
    no_fault_is_ours,
    nobody_waits_for_long,
)
