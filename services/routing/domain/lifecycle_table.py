"""The transition table of the lead's lifecycle: states, holders, clocks, moves, and the acts of people."""

from dataclasses import dataclass
from typing import Literal

from services.routing.domain.policy import ClockKind

State = Literal[
    "nurturing", "qualified", "assigned", "accepted", "working", "opportunity",
    "won", "lost", "recycled", "disqualified", "erased",
]  # fmt: skip
OpenState = Literal["assigned", "accepted", "working", "opportunity"]
Holder = Literal["marketing", "queue", "rep", "nobody"]
CloseReason = Literal[
    "timed_out", "handed_back", "reassigned", "rejected", "recycled", "disqualified",
    "won", "lost", "passed_to_closer", "superseded", "erased",
]  # fmt: skip
CycleWhy = Literal["recycled", "won", "lost", "merged", "reopened", "republished"]


@dataclass(frozen=True, slots=True)
class StateRow:
    """One row of the transition table: who holds the lead, against which clock, and where it may go."""

    meaning: str
    holder: Holder
    clock: ClockKind | None
    moves: frozenset[State]


_BACK: frozenset[State] = frozenset({"qualified", "recycled", "disqualified", "erased"})

TABLE: dict[State, StateRow] = {
    "nurturing": StateRow(
        "known, under the threshold", "marketing", None, frozenset({"qualified", "disqualified", "erased"})
    ),
    "qualified": StateRow(
        "MQL, not yet with a person", "queue", "assign",
        frozenset({"assigned", "nurturing", "disqualified", "erased"}),
    ),
    "assigned": StateRow("handed off", "rep", "accept", _BACK | {"accepted"}),
    "accepted": StateRow("SAL", "rep", "first_touch", _BACK | {"working"}),
    "working": StateRow("contacted", "rep", "qualify", _BACK | {"opportunity"}),
    "opportunity": StateRow(
        "SRL, SQL from stage `qualified` on", "rep", "stage_age",
        frozenset({"won", "lost", "recycled", "erased"}),
    ),
    "won": StateRow("closed won", "rep", None, frozenset({"qualified", "erased"})),
    "lost": StateRow("closed lost", "rep", None, frozenset({"recycled", "erased"})),
    "recycled": StateRow(
        "rejected or stalled, cooling down", "marketing", "cool_down",
        frozenset({"nurturing", "disqualified", "erased"}),
    ),
    "disqualified": StateRow(
        "junk, competitor, do-not-contact, exhausted", "nobody", None, frozenset({"nurturing", "erased"})
    ),
    "erased": StateRow("tombstone without personal data", "nobody", None, frozenset()),
}  # fmt: skip
"""DESIGN section 5. A command may walk several rows at once, never a step that is not here."""

ACTS: dict[str, frozenset[State]] = {
    "accept": frozenset({"assigned"}),
    "contact": frozenset({"assigned", "accepted", "working", "opportunity"}),
    "qualify": frozenset({"working", "opportunity"}),
    "win": frozenset({"opportunity"}),
    "lose": frozenset({"opportunity"}),
    "reject": frozenset({"assigned", "accepted", "working"}),
    "recycle": frozenset({"accepted", "working", "opportunity", "lost"}),
    "reassign": frozenset({"qualified", "assigned", "accepted", "working", "opportunity"}),
    "hand_back": frozenset({"assigned", "accepted", "working"}),
    "disqualify": frozenset({"nurturing", "qualified", "assigned", "accepted", "working", "recycled"}),
    "reopen": frozenset({"disqualified"}),
}
"""Which acts of people each state allows."""


def legal_acts(state: State) -> tuple[str, ...]:
    """Return the names of the acts that `state` allows on our API, sorted."""
    return tuple(sorted(act for act, states in ACTS.items() if state in states))
