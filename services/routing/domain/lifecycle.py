"""The lead's lifecycle: one function that applies a command to a lead by the transition table.

Everything a command causes comes back as data; storing it is the caller's.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.routing.domain.lifecycle_commands import (
    Accept,
    Actor,
    Assign,
    Command,
    Contact,
    CoolDownEnd,
    Disqualify,
    Enqueue,
    Erase,
    EvaluateSnapshot,
    HandBack,
    Lose,
    PassToCloser,
    Qualify,
    Reassign,
    Recycle,
    Reject,
    Reopen,
    Win,
)
from services.routing.domain.lifecycle_draft import Draft
from services.routing.domain.lifecycle_records import (
    Act,
    ClockChange,
    CycleOpened,
    DecisionWanted,
    Handoff,
    HandoffClosed,
    IllegalMove,
    LeadRecord,
    Move,
    Outcome,
    UnknownReason,
    UnknownStage,
)
from services.routing.domain.lifecycle_table import (
    ACTS,
    TABLE,
    CloseReason,
    CycleWhy,
    Holder,
    OpenState,
    State,
    StateRow,
    legal_acts,
)
from services.routing.domain.policy import Reason, RecyclePolicy

__all__ = [
    "ACTS", "TABLE", "Accept", "Act", "Actor", "Assign", "ClockChange", "CloseReason", "Command", "Contact",
    "CoolDownEnd", "CycleOpened", "CycleWhy", "DecisionWanted", "Disqualify", "Enqueue", "Erase",
    "EvaluateSnapshot", "HandBack", "Handoff", "HandoffClosed", "Holder", "IllegalMove", "LeadRecord", "Lose",
    "Move", "OpenState", "Outcome", "PassToCloser", "Qualify", "Reassign", "Recycle", "Reject", "Reopen",
    "State", "StateRow", "UnknownReason", "UnknownStage", "Win", "apply", "legal_acts",
]  # fmt: skip

EXHAUSTED = "exhausted"
DO_NOT_CONTACT = "do_not_contact"


def apply(
    record: LeadRecord,
    handoff: Handoff | None,
    command: Command,
    actor: Actor,
    policy: RecyclePolicy,
    now: datetime,
) -> Outcome:
    """Apply one command to a lead and the hand-off concerned (the open one, or a closed one acted upon).

    Acts on a hand-off pass that hand-off; commands on the lead pass its open one or None.
    Raises IllegalMove, HandoffClosed, UnknownReason, UnknownStage; never leaves a half-made change.
    """
    name = ACT_NAMES.get(type(command))
    unchanged = Outcome(record, handoff if handoff and handoff.is_open else None, changed=False)
    if name and handoff and _is_repetition(name, command, handoff, actor):
        return unchanged
    if handoff and not handoff.is_open:
        if not (isinstance(command, Recycle) and record.state == "lost" and handoff.outcome == "lost"):
            raise HandoffClosed(handoff)
        handoff = None
    if name and record.state not in ACTS[name] and not _overrides_table(command):
        raise IllegalMove(name, record.state, legal_acts(record.state))
    draft = Draft(record, handoff, actor, policy, now)
    HANDLERS[type(command)](draft, command)
    return draft.outcome() if draft.touched(record, handoff) else unchanged


def _is_repetition(name: str, command: Command, handoff: Handoff, actor: Actor) -> bool:
    """Tell whether this was done before and doing it again is no change.

    On a closed hand-off that is only the act that closed it, by the same actor; else the successor is news.
    A merge closes without an act.
    """
    if not handoff.is_open:
        if handoff.outcome == "superseded":
            return False
        return bool(handoff.acts) and (handoff.acts[-1].name, handoff.acts[-1].by) == (name, actor.identity)
    if isinstance(command, Contact):
        return handoff.contacted_at is not None
    if isinstance(command, Qualify):
        said = (command.stage, command.amount, command.currency, command.expected_close)
        known = (handoff.stage, handoff.amount, handoff.currency, handoff.expected_close)
        return handoff.stage is not None and all(
            new is None or new == old for new, old in zip(said, known, strict=True)
        )
    return any(act.name == name and act.by == actor.identity for act in handoff.acts)


def _overrides_table(command: Command) -> bool:
    """A do-not-contact is obeyed in every state; where no direct step exists, by way of recycled."""
    return isinstance(command, Disqualify) and command.do_not_contact


def _evaluate_snapshot(draft: Draft, snapshot: EvaluateSnapshot) -> None:
    state = draft.record.state
    if snapshot.do_not_contact:
        if state not in ("won", "disqualified", "erased"):
            _disqualify(draft, Disqualify(DO_NOT_CONTACT, do_not_contact=True))
        return
    # A scoring that has never been told of a cycle echoes none: that is the first.
    if max(snapshot.cycle, 1) != draft.record.cycle:
        return
    if state in ("nurturing", "won") and snapshot.enters and not draft.record.do_not_contact:
        draft.move("qualified", "enters")
        draft.effects["decide"] = DecisionWanted()
    elif state == "qualified" and not snapshot.holds and not snapshot.enters:
        draft.move("nurturing", "no_longer_holds")


def _cool_down_end(draft: Draft, command: CoolDownEnd) -> None:
    until = draft.record.cool_down_until
    if draft.record.state != "recycled" or (until is not None and draft.now < until):
        return
    draft.move("nurturing", "cool_down_ended", act_done=True)
    if command.snapshot is not None:
        _evaluate_snapshot(draft, command.snapshot)


def _enqueue(draft: Draft, command: Enqueue) -> None:
    if draft.record.state != "qualified":
        raise IllegalMove("enqueue", draft.record.state, legal_acts(draft.record.state))
    draft.record = replace(draft.record, queue=command.queue)


def _new_handoff(draft: Draft, command: Assign | PassToCloser) -> None:
    """Open the next hand-off of the cycle; it succeeds the last one closed in it."""
    seq = draft.record.last_seq + 1
    draft.effects.update(opened=True, successor_of=draft.record.last_handoff_id)
    draft.record = replace(draft.record, last_seq=seq, last_handoff_id=None)
    draft.handoff = Handoff(
        command.handoff_id, draft.record.lead_id, draft.record.cycle, seq, command.person_id,
        command.team_id, command.decision_id, draft.now,
    )  # fmt: skip


def _assign(draft: Draft, command: Assign) -> None:
    draft.move("assigned", act_done=True)
    _new_handoff(draft, command)


def _accept(draft: Draft, command: Accept) -> None:
    at = _told_at(draft, command.at)
    draft.move("accepted", act_done=True, acted_at=at if at < draft.now else None)
    draft.update_handoff("accept", state="accepted", accepted_at=at)
    draft.effects["accepted"] = "explicit"


def _told_at(draft: Draft, at: datetime | None) -> datetime:
    """Return when an act happened: as told, but counted from the hand-off on and never after now."""
    return min(max(at or draft.now, draft.open_handoff().assigned_at), draft.now)


def _contact(draft: Draft, command: Contact) -> None:
    at = _told_at(draft, command.at)
    told_late = at if at < draft.now else None
    if draft.record.state == "assigned":
        draft.move("accepted", "contacted", act_done=True, acted_at=told_late)
        draft.update_handoff("accept", state="accepted", accepted_at=at)
        draft.effects["accepted"] = "implied"
    if draft.record.state == "accepted":
        draft.move("working", act_done=True, acted_at=told_late)
        draft.update_handoff("contact", state="working", contacted_at=at)
    else:
        # A closer's hand-off starts as an opportunity; their first call is still news.
        draft.update_handoff("contact", contacted_at=at)
    draft.effects["contacted"] = True


def _qualify(draft: Draft, command: Qualify) -> None:
    stages = draft.policy.stages
    if command.stage not in stages:
        raise UnknownStage(command.stage, stages)
    handoff = draft.open_handoff()
    enters = draft.record.state == "working"
    if enters:
        draft.move("opportunity", command.stage, act_done=True)
    elif command.stage != handoff.stage:
        # Stage age is counted per stage.
        draft.clocks += [ClockChange("stop", "stage_age"), ClockChange("start", "stage_age")]
    draft.update_handoff(
        "qualify", state="opportunity", stage=command.stage,
        amount=handoff.amount if command.amount is None else command.amount,
        currency=command.currency or handoff.currency,
        expected_close=command.expected_close or handoff.expected_close,
    )  # fmt: skip
    draft.effects["staged"] = True
    closer = draft.policy.closer_team
    if enters and closer and handoff.team_id != closer:
        draft.effects["decide"] = DecisionWanted(only_team=closer)


def _win(draft: Draft, command: Win) -> None:
    handoff = draft.open_handoff()
    draft.move("won", act_done=True)
    if command.amount is not None:
        draft.handoff = replace(handoff, amount=command.amount, currency=command.currency or handoff.currency)
    draft.close("win", "won")
    draft.open_cycle("won")
    draft.record = replace(draft.record, recycles=0)


def _lose(draft: Draft, command: Lose) -> None:
    reason = _reason(draft.policy, command.reason) if command.reason else None
    draft.move("lost", command.reason, act_done=True)
    draft.close("lose", "lost", command.reason, command.note)
    draft.open_cycle("lost")
    if reason is not None:
        _follow_reason(draft, reason)
    elif draft.policy.lost_cool_down_seconds is not None:
        _recycle_for(draft, draft.policy.lost_cool_down_seconds, "lost")


def _reject(draft: Draft, command: Reject) -> None:
    reason = _reason(draft.policy, command.reason)
    holder = draft.open_handoff().person_id
    draft.record = replace(draft.record, rejected_by=draft.record.rejected_by | {holder})
    draft.close("reject", "rejected", command.reason, command.note)
    _follow_reason(draft, reason)


def _recycle(draft: Draft, command: Recycle) -> None:
    reason = _reason(draft.policy, command.reason)
    if draft.handoff is not None:
        draft.close("recycle", "recycled", command.reason, command.note)
    _follow_reason(draft, reason)


def _reason(policy: RecyclePolicy, reason: str) -> Reason:
    if reason not in policy.reasons:
        raise UnknownReason(reason, tuple(sorted(policy.reasons)))
    return policy.reasons[reason]


def _follow_reason(draft: Draft, reason: Reason) -> None:
    """Recycle or disqualify, as the configured reason says."""
    if reason.outcome == "recycle":
        _recycle_for(draft, reason.cool_down_seconds, reason.id)
    else:
        _leave_for_good(draft, reason.id, do_not_contact=reason.do_not_contact)


def _recycle_for(draft: Draft, cool_down_seconds: int, reason: str) -> None:
    """Give the lead back to marketing to cool down, or let it go when its cycles are used up."""
    from_lost = draft.record.state == "lost"
    draft.move("recycled", reason)
    if not from_lost:
        draft.open_cycle("recycled")  # a loss has opened the next cycle already
    until = draft.now + timedelta(seconds=cool_down_seconds)
    draft.record = replace(draft.record, recycles=draft.record.recycles + 1, cool_down_until=until)
    if draft.record.recycles >= draft.policy.max_cycles:
        draft.move("disqualified", EXHAUSTED)


def _leave_for_good(draft: Draft, reason: str, *, do_not_contact: bool) -> None:
    if "disqualified" not in TABLE[draft.record.state].moves:
        draft.move("recycled", reason)
    draft.move("disqualified", reason)
    draft.record = replace(draft.record, do_not_contact=draft.record.do_not_contact or do_not_contact)


def _reassign(draft: Draft, command: Reassign) -> None:
    wanted = DecisionWanted(only_person=command.to_person)
    if draft.handoff is not None:
        holder = draft.handoff.person_id
        wanted = replace(wanted, excluded=frozenset({holder}))
        draft.record = replace(
            draft.record,
            tried=draft.record.tried | {holder},
            reassigns=draft.record.reassigns + command.ladder,
        )
    if draft.record.state not in ("qualified", "opportunity"):
        outcome: CloseReason = "timed_out" if command.ladder else "reassigned"
        draft.close("reassign", outcome, note=command.note)
        draft.move("qualified", outcome)
    draft.effects["decide"] = wanted


def _hand_back(draft: Draft, command: HandBack) -> None:
    holder = draft.open_handoff().person_id
    draft.close("hand_back", "handed_back", note=command.note)
    draft.move("qualified", "handed_back")
    draft.record = replace(draft.record, tried=draft.record.tried | {holder})
    draft.effects["decide"] = DecisionWanted(excluded=frozenset({holder}))


def _pass_to_closer(draft: Draft, command: PassToCloser) -> None:
    if draft.record.state != "opportunity":
        raise IllegalMove("pass on", draft.record.state, legal_acts(draft.record.state))
    old = draft.open_handoff()
    draft.close("pass_on", command.outcome)
    draft.clocks += [ClockChange("cancel", "stage_age"), ClockChange("start", "stage_age")]
    _new_handoff(draft, command)
    assert draft.handoff is not None
    draft.handoff = replace(
        draft.handoff, state="opportunity", stage=old.stage, amount=old.amount, currency=old.currency,
        expected_close=old.expected_close,
    )  # fmt: skip


def _disqualify(draft: Draft, command: Disqualify) -> None:
    if draft.record.state in ("won", "disqualified"):
        draft.record = replace(
            draft.record, do_not_contact=draft.record.do_not_contact or command.do_not_contact
        )
        return
    if draft.handoff is not None:
        draft.close("disqualify", "disqualified", command.reason)
    _leave_for_good(draft, command.reason, do_not_contact=command.do_not_contact)


def _reopen(draft: Draft, _: Reopen) -> None:
    draft.move("nurturing", "reopened")
    draft.open_cycle("reopened")
    draft.record = replace(draft.record, recycles=0, do_not_contact=False)


def _erase(draft: Draft, _: Erase) -> None:
    if draft.record.state == "erased":
        return
    if draft.handoff is not None:
        draft.close("erase", "erased")
    draft.move("erased", "erased")


ACT_NAMES: dict[type[Any], str] = {
    Accept: "accept", Contact: "contact", Qualify: "qualify", Win: "win", Lose: "lose", Reject: "reject",
    Recycle: "recycle", Reassign: "reassign", HandBack: "hand_back", Disqualify: "disqualify",
    Reopen: "reopen",
}  # fmt: skip
HANDLERS: dict[type[Any], Callable[[Draft, Any], None]] = {
    EvaluateSnapshot: _evaluate_snapshot, CoolDownEnd: _cool_down_end, Enqueue: _enqueue, Assign: _assign,
    Accept: _accept, Reject: _reject, Contact: _contact, Qualify: _qualify, Win: _win, Lose: _lose,
    Recycle: _recycle, Reassign: _reassign, HandBack: _hand_back, PassToCloser: _pass_to_closer,
    Disqualify: _disqualify, Reopen: _reopen, Erase: _erase,
}  # fmt: skip
