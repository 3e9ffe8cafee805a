"""A handful of leads under any sequence of commands, merges and unmerges, against the promises of DESIGN."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.routing.domain.lifecycle import (
    ACTS,
    TABLE,
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
    Handoff,
    IllegalMove,
    LeadRecord,
    Lose,
    Outcome,
    PassToCloser,
    Qualify,
    Reassign,
    Recycle,
    Reject,
    Reopen,
    Win,
    apply,
    legal_acts,
)
from services.routing.domain.merge import Side, merge, unmerge
from tests.support.routing_leads import ANNA, BILAL, NOW, RECYCLE

REPS = st.sampled_from(["anna", "bilal", "carmen"])
ACTORS = st.sampled_from([ANNA, BILAL])
REASONS = st.sampled_from(["no_budget", "no_budget", "no_budget", "junk", "do_not_contact"])
ACT_COMMANDS: dict[str, st.SearchStrategy[Command]] = {
    "accept": st.builds(Accept), "contact": st.builds(Contact),
    "win": st.builds(Win), "lose": st.builds(Lose),
    "qualify": st.builds(Qualify, stage=st.sampled_from(RECYCLE.stages)),
    "reject": st.builds(Reject, reason=REASONS), "recycle": st.builds(Recycle, reason=REASONS),
    "reassign": st.builds(Reassign, ladder=st.booleans()), "hand_back": st.builds(HandBack),
    "disqualify": st.builds(Disqualify, reason=st.just("junk")), "reopen": st.builds(Reopen),
}  # fmt: skip
OPEN = ("assigned", "accepted", "working", "opportunity")
LEADS = tuple("abcd")


class Routing(RuleBasedStateMachine):
    """Routing as its shell runs it: records and open hand-offs by lead, every hand-off ever by id."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.leads: dict[str, Side] = {name: Side(LeadRecord(name)) for name in LEADS}
        self.handoffs: dict[str, Handoff] = {}
        self.redirects: dict[str, str] = {}
        self.cycles_told: dict[str, int] = {}
        # A merge carries a cycle on under the higher number: by the hand-off that waits for its successor.
        self.carried_on: dict[str, int] = {}
        self.rejected: set[tuple[str, str]] = set()
        self.clocks: dict[str, set[str]] = {name: set() for name in LEADS}
        self.counter = 0

    def pick(self, index: int) -> str:
        alive = sorted(self.leads)
        return alive[index % len(alive)]

    def new_id(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def command(self, lead: str, command: Command, actor: Actor = ANNA) -> Outcome | None:
        """Apply a command as the shell does; an illegal one must leave everything as it was."""
        side = self.leads[lead]
        refusal: IllegalMove | None = None
        try:
            outcome = apply(side.record, side.handoff, command, actor, RECYCLE, self.now)
        except IllegalMove as refused:
            refusal = refused
        if refusal is not None:
            assert side.record.state not in ACTS.get(refusal.act, ())
            return None
        assert outcome.changed or (outcome.record, outcome.handoff) == (side.record, side.handoff)
        self.store(lead, outcome)
        return outcome

    def store(self, lead: str, outcome: Outcome) -> None:
        before = self.leads[lead].record
        assert not outcome.moves or outcome.moves[0].from_state == before.state
        for first, second in zip(outcome.moves, outcome.moves[1:], strict=False):
            assert first.to_state == second.from_state
        for move in outcome.moves:
            assert move.to_state in TABLE[move.from_state].moves
        for change in outcome.clocks:
            assert (change.kind in self.clocks[lead]) is (change.action != "start")
            self.clocks[lead] ^= {change.kind}
        if outcome.closed:
            self.handoffs[outcome.closed.id] = outcome.closed
        if outcome.handoff:
            self.handoffs[outcome.handoff.id] = outcome.handoff
        if outcome.successor_of:
            assert outcome.handoff is not None
            old = self.handoffs[outcome.successor_of]
            assert self.carried_on.get(old.id, old.cycle) == outcome.handoff.cycle
            self.handoffs[old.id] = replace(old, successor_id=outcome.handoff.id)
        if outcome.cycle_opened:
            assert outcome.cycle_opened.cycle == before.cycle + 1
            assert outcome.cycle_opened.cut == self.now
        self.leads[lead] = Side(outcome.record, outcome.handoff)

    @rule(minutes=st.integers(1, 200_000))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(
        lead=st.integers(0, 3), level=st.sampled_from("eeeeh-"), stale=st.sampled_from([False, False, True])
    )
    def a_snapshot_arrives(self, lead: int, level: str, stale: bool) -> None:
        enters, holds = level == "e", level != "-"
        name = self.pick(lead)
        record = self.leads[name].record
        cycle = record.cycle - 1 if stale and record.cycle > 1 else record.cycle
        outcome = self.command(name, EvaluateSnapshot(cycle, enters, holds))
        if cycle != record.cycle:
            assert outcome is not None
            assert not outcome.changed

    @rule(lead=st.integers(0, 3), rep=REPS)
    def the_decision_assigns(self, lead: int, rep: str) -> None:
        name = self.pick(lead)
        record = self.leads[name].record
        if record.state == "nurturing":
            self.command(name, EvaluateSnapshot(record.cycle, True, True))
            record = self.leads[name].record
        if record.state == "qualified" and rep not in record.rejected_by | record.tried:
            self.command(name, Assign(self.new_id("h"), rep, "team", self.new_id("d")))
        elif record.state == "opportunity":
            self.command(name, PassToCloser(self.new_id("h"), rep, "closers", self.new_id("d")))
        else:
            self.command(name, Enqueue("triage"))

    @rule(
        lead=st.integers(0, 3),
        actor=ACTORS,
        data=st.data(),
        lawful=st.sampled_from([True, True, True, False]),
    )
    def somebody_acts(self, lead: int, actor: Actor, data: st.DataObject, lawful: bool) -> None:
        name = self.pick(lead)
        acts = legal_acts(self.leads[name].record.state) if lawful else ()
        act = data.draw(ACT_COMMANDS[data.draw(st.sampled_from(acts or tuple(ACT_COMMANDS)))])
        holder = self.leads[name].handoff
        outcome = self.command(name, act, actor)
        if outcome and outcome.changed and isinstance(act, Reject) and holder:
            self.rejected.add((name, holder.person_id))
            assert not apply(outcome.record, outcome.closed, act, actor, RECYCLE, self.now).changed

    @rule(lead=st.integers(0, 3))
    def a_cool_down_ends(self, lead: int) -> None:
        name = self.pick(lead)
        self.now = max(self.now, self.leads[name].record.cool_down_until or self.now)
        self.command(name, CoolDownEnd(EvaluateSnapshot(self.leads[name].record.cycle, True, True)))

    @rule(lead=st.integers(0, 3), dice=st.integers(0, 9))
    def somebody_wants_silence_or_oblivion(self, lead: int, dice: int) -> None:
        name = self.pick(lead)
        if dice == 0:
            self.command(name, Erase())
        elif dice == 1:
            self.command(name, EvaluateSnapshot(1, True, True, do_not_contact=True))

    @precondition(lambda self: len(self.leads) > 1)
    @rule(one=st.integers(0, 3), other=st.integers(1, 3))
    def two_leads_merge(self, one: int, other: int) -> None:
        survivor, loser = self.pick(one), self.pick(one + other)
        if survivor == loser:
            return
        sides = self.leads[survivor], self.leads[loser]
        merged = merge(*sides, self.now)
        for closed in merged.superseded:
            self.handoffs[closed.id] = closed
        if merged.kept:
            assert merged.kept.id not in {closed.id for closed in merged.superseded}
            self.handoffs[merged.kept.id] = merged.kept
        if merged.record.last_handoff_id:
            self.carried_on[merged.record.last_handoff_id] = merged.record.cycle
        running = self.clocks[merged.kept_from] if merged.kept_from else set()
        self.leads[survivor] = Side(merged.record, merged.kept)
        self.clocks[survivor] = set(running)
        self.rejected |= {(survivor, rep) for name, rep in self.rejected if name == loser}
        del self.leads[loser], self.clocks[loser]
        self.redirects[loser] = survivor

    @precondition(lambda self: len(self.leads) < 4)
    @rule(one=st.integers(0, 3), goes=st.booleans())
    def a_lead_is_parted(self, one: int, goes: bool) -> None:
        name, new = self.pick(one), self.new_id("n")
        parted = unmerge(self.leads[name], new, new if goes else name, self.now)
        running = self.clocks[name]
        self.leads[name], self.leads[new] = parted.stays, parted.leaves
        self.clocks[name], self.clocks[new] = (set(), running) if parted.state_on == new else (running, set())
        for side in (parted.stays, parted.leaves):
            if side.handoff:
                self.handoffs[side.handoff.id] = side.handoff
        self.rejected |= {(new, rep) for lead, rep in self.rejected if lead == name}

    @invariant()
    def a_lead_has_an_open_hand_off_exactly_while_a_rep_works_on_it(self) -> None:
        for name, side in self.leads.items():
            assert (side.handoff is not None) is (side.record.state in OPEN)
            if side.handoff is not None:
                assert side.handoff.is_open
                assert side.handoff.state == side.record.state
                assert (side.handoff.lead_id, side.handoff.cycle) == (name, side.record.cycle)

    @invariant()
    def nothing_else_is_open(self) -> None:
        held = {side.handoff.id for side in self.leads.values() if side.handoff}
        assert {handoff.id for handoff in self.handoffs.values() if handoff.is_open} == held

    @invariant()
    def keys_are_unique(self) -> None:
        keys = [(h.lead_id, h.cycle, h.seq) for h in self.handoffs.values()]
        assert len(keys) == len(set(keys))

    @invariant()
    def what_somebody_holds_runs_against_its_clock(self) -> None:
        for name, side in self.leads.items():
            clock = TABLE[side.record.state].clock
            assert self.clocks[name] == ({clock} if clock else set())
            assert (side.record.cool_down_until is not None) is (side.record.state == "recycled")

    @invariant()
    def who_rejected_is_remembered(self) -> None:
        for name, rep in self.rejected:
            if name in self.leads:
                assert rep in self.leads[name].record.rejected_by

    @invariant()
    def cycles_never_go_back(self) -> None:
        for name, side in self.leads.items():
            assert side.record.cycle >= self.cycles_told.get(name, 1)
            self.cycles_told[name] = side.record.cycle


Routing.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRouting = Routing.TestCase
