"""Leads, hand-offs and a recycle policy for tests of routing's domain."""

from datetime import UTC, datetime

from services.routing.domain.lifecycle import (
    Accept,
    Actor,
    Assign,
    Command,
    Contact,
    EvaluateSnapshot,
    Handoff,
    LeadRecord,
    Lose,
    Outcome,
    Qualify,
    Reject,
    State,
    Win,
    apply,
)
from services.routing.domain.policy import Reason, RecyclePolicy

NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
ANNA = Actor("person", "anna")
BILAL = Actor("person", "bilal")
CLOCK = Actor("clock", "accept")
DAY = 86_400

RECYCLE = RecyclePolicy(
    reasons={
        "no_budget": Reason("no_budget", "No budget", "recycle", 90 * DAY),
        "junk": Reason("junk", "Junk", "disqualify"),
        "do_not_contact": Reason("do_not_contact", "Asked for silence", "disqualify", do_not_contact=True),
    },
    max_cycles=3,
    lost_cool_down_seconds=180 * DAY,
    stages=("unqualified", "qualified", "proposal"),
)

# The shortest way from a new lead into each state.
ENTERS = EvaluateSnapshot(1, enters=True, holds=True)
TO_ANNA = Assign("h1", "anna", "emea", "d1")
WAYS: dict[State, tuple[Command, ...]] = {
    "nurturing": (),
    "qualified": (ENTERS,),
    "assigned": (ENTERS, TO_ANNA),
    "accepted": (ENTERS, TO_ANNA, Accept()),
    "working": (ENTERS, TO_ANNA, Contact()),
    "opportunity": (ENTERS, TO_ANNA, Contact(), Qualify("qualified")),
    "won": (ENTERS, TO_ANNA, Contact(), Qualify("qualified"), Win()),
    "lost": (ENTERS, TO_ANNA, Contact(), Qualify("qualified"), Lose()),
    "recycled": (ENTERS, TO_ANNA, Reject("no_budget")),
    "disqualified": (ENTERS, TO_ANNA, Reject("junk")),
}


def in_state(
    state: State, lead_id: str = "lead", policy: RecyclePolicy = RECYCLE, now: datetime = NOW
) -> tuple[LeadRecord, Handoff | None]:
    """Return a lead that came into `state` the shortest way, and its latest hand-off, closed or not."""
    if state == "lost":
        policy = RecyclePolicy(policy.reasons, policy.max_cycles, None, policy.stages)
    record, handoff = LeadRecord(lead_id), None
    for command in WAYS[state]:
        outcome = apply(record, handoff, command, ANNA, policy, now)
        record, handoff = outcome.record, outcome.handoff or outcome.closed or handoff
    assert record.state == state
    return record, handoff


def do(
    record: LeadRecord,
    handoff: Handoff | None,
    command: Command,
    actor: Actor = ANNA,
    policy: RecyclePolicy = RECYCLE,
    now: datetime = NOW,
) -> Outcome:
    """Apply one command with the defaults of these tests."""
    return apply(record, handoff, command, actor, policy, now)
