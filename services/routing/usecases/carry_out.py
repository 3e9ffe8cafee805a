"""Apply one command to one lead: the domain says what follows, the desk records it and drafts the events."""

from services.routing.domain import lifecycle
from services.routing.domain.lifecycle import Actor, Command, Contact, Handoff, Move, Outcome
from services.routing.usecases.desk import Desk, actor_told, place_of
from services.routing.usecases.keep_clocks import change_clocks
from services.routing.usecases.lead_file import LeadFile, Transition
from shared.contracts import handoffs as told


def carry_out(
    desk: Desk, file: LeadFile, command: Command, actor: Actor, handoff: Handoff | None = None
) -> Outcome:
    """Apply a command; `handoff` is the one acted upon, the open one if not given.

    Raises IllegalMove, HandoffClosed, UnknownReason, before anything has changed.
    """
    target = handoff or file.handoff
    outcome = lifecycle.apply(file.record, target, command, actor, desk.policy.recycle, desk.now)
    if outcome.changed:
        channel = command.channel if isinstance(command, Contact) else ""
        _record(desk, file, outcome, actor, channel)
    return outcome


def _record(desk: Desk, file: LeadFile, outcome: Outcome, actor: Actor, channel: str) -> None:
    previous = file.handoff
    desk.touched.add(file.lead_id)
    file.record = outcome.record
    current = outcome.handoff
    file.handoff = current if current is not None and current.is_open else None
    if outcome.closed is not None:
        desk.closed[outcome.closed.id] = outcome.closed
        file.last_holder = outcome.closed.person_id
    if outcome.successor_of is not None and file.handoff is not None:
        desk.successors[outcome.successor_of] = file.handoff.id
    change_clocks(desk, file, outcome.clocks)
    _tell(desk, file, outcome, actor, channel)
    named = file.handoff or previous
    for move in outcome.moves:
        record_move(desk, file, move, actor, named.id if named else None)
    if outcome.decide is not None:
        desk.wanted[file.lead_id] = outcome.decide
    desk.frees = desk.frees or outcome.frees


def record_move(desk: Desk, file: LeadFile, move: Move, actor: Actor, handoff_id: str | None) -> None:
    """Log a move and tell it; an MQL is told with the queue it waits in, once that is known."""
    lead_id, cycle, at = file.lead_id, file.record.cycle, desk.now
    desk.transitions.append(
        Transition(lead_id, cycle, at, move.from_state, move.to_state, move.reason, actor, handoff_id)
    )
    change = told.LifecycleChanged(
        lead_id, cycle, at, actor_told(actor), move.from_state, move.to_state, move.reason
    )
    desk.tell(told.LIFECYCLE_CHANGED, lead_id, lambda: change)
    if move.to_state == "qualified" and move.from_state in ("nurturing", "won"):
        grade = file.snapshot.grade if file.snapshot else ""
        desk.tell(
            told.QUALIFIED,
            lead_id,
            lambda: told.LeadQualified(lead_id, cycle, at, actor_told(actor), grade, file.record.queue),
        )


def _tell(desk: Desk, file: LeadFile, outcome: Outcome, actor: Actor, channel: str) -> None:
    by, at = actor_told(actor), desk.now
    now_open = outcome.handoff
    if outcome.closed is not None:
        tell_closed(desk, outcome.closed, actor)
    if now_open is not None and outcome.accepted is not None:
        accepted = told.HandoffAccepted(
            **place_of(now_open), at=at, actor=by, person_id=now_open.person_id,
            implied=outcome.accepted == "implied",
        )  # fmt: skip
        desk.tell(told.ACCEPTED, file.lead_id, lambda: accepted)
    if now_open is not None and outcome.contacted:
        contacted = told.HandoffContacted(
            **place_of(now_open), at=at, actor=by, person_id=now_open.person_id, channel=channel
        )
        desk.tell(told.CONTACTED, file.lead_id, lambda: contacted)
    if now_open is not None and outcome.staged:
        staged = told.StageChanged(
            **place_of(now_open), at=at, actor=by, stage=now_open.stage or "", amount=now_open.amount,
            currency=now_open.currency, expected_close=now_open.expected_close,
        )  # fmt: skip
        desk.tell(told.STAGE_CHANGED, file.lead_id, lambda: staged)
    if outcome.cycle_opened is not None:
        opened = outcome.cycle_opened
        cycle = told.CycleOpened(file.lead_id, opened.cycle, opened.cut, at, opened.why)
        desk.tell(told.CYCLE_OPENED, file.lead_id, lambda: cycle)


def tell_closed(desk: Desk, closed: Handoff, actor: Actor) -> None:
    """Announce the end of a hand-off; its successor is looked up when all has been decided."""
    at = desk.now
    desk.tell(
        told.CLOSED,
        closed.lead_id,
        lambda: told.HandoffClosed(
            **place_of(closed), at=at, actor=actor_told(actor), person_id=closed.person_id,
            outcome=closed.outcome or "superseded", reason=closed.reason, note=closed.note,
            successor_id=desk.successor_of(closed),
        ),
    )  # fmt: skip
