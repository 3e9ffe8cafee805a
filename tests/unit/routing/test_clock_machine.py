"""One SLA clock through anything: time, pauses, outages, late looks and ends, against a count by hand."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.routing.domain import sla
from services.routing.domain.policy import PauseRule, Rung, RungAction
from services.routing.domain.sla import Clock, Fired
from tests.support.clock_model import ModelClock, ModelTerms, Said
from tests.support.routing_leads import NOW

REASONS = ("holiday", "waiting", "unheard_of")
SECONDS = st.sampled_from([1, 2, 5, 9, 10, 11, 30, 60, 61, 100, 400])
ACTIONS: tuple[RungAction, ...] = ("notify", "reassign", "out_of_rotation")


class OneClock(RuleBasedStateMachine):
    """The engine's clock and the counted one must say the same, at the same instants."""

    @initialize(
        promised=st.integers(1, 120),
        warnings=st.lists(st.integers(1, 119), max_size=3, unique=True),
        ladder=st.lists(st.tuples(st.sampled_from([0, 0, 10, 60]), st.sampled_from(ACTIONS)), max_size=4),
        limits=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    )
    def it_starts(
        self,
        promised: int,
        warnings: list[int],
        ladder: list[tuple[int, RungAction]],
        limits: tuple[int, int],
    ) -> None:
        early = tuple(sorted(seconds for seconds in warnings if seconds < promised))
        steps = tuple(sorted(ladder, key=lambda step: step[0]))
        pauses = dict(zip(REASONS, limits, strict=False))
        self.now: datetime = NOW
        self.outages: list[tuple[datetime, datetime]] = []
        self.told: list[str] = []
        self.model = ModelClock("accept", ModelTerms(promised, early, steps, pauses), NOW)
        terms = sla.Terms(
            promised, early, tuple(Rung(after, "rep", action) for after, action in steps), None, "1", "p1",
            tuple(PauseRule(*pause) for pause in pauses.items()),
        )  # fmt: skip
        self.clock = Clock("ck", "accept", "ld", 1, terms, NOW)

    def take(self, fired: Fired, expected: list[Said]) -> None:
        """Both said the same; nothing is said before it is due, and each thing once."""
        said = [(event.kind, event.rung, event.action, event.during_outage) for event in fired.events]
        assert said == expected
        assert all(event.due_at <= self.now for event in fired.events)
        self.clock = fired.clock
        self.told += [event.kind for event in fired.events]

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def it_is_the_very_instant(self) -> None:
        due = sla.next_due(self.clock, self.outages)
        self.now = max(self.now, due or self.now)

    @rule()
    def the_timer_looks(self) -> None:
        if self.clock.state == "running":
            self.take(sla.fire(self.clock, self.now, self.outages), self.model.fire(self.now, self.outages))
        assert sla.fire(self.clock, self.now, self.outages).events == (), "a second look finds nothing"

    @rule(reason=st.sampled_from(REASONS))
    def somebody_pauses(self, reason: str) -> None:
        possible = self.clock.state == "running" and self.model.pause(reason, self.now)
        try:
            self.clock = sla.pause(self.clock, reason, self.now)
        except sla.PauseRefused:
            assert not possible
        else:
            assert possible

    @rule()
    def somebody_resumes(self) -> None:
        if self.clock.state == "running":
            self.clock = sla.resume(self.clock, self.now)
            self.model.resume(self.now)

    @precondition(lambda self: len(self.outages) < 3)
    @rule(seconds=SECONDS)
    def we_are_away(self, seconds: int) -> None:
        self.outages.append((self.now, self.now + timedelta(seconds=seconds)))
        self.now += timedelta(seconds=seconds)

    @rule(ending=st.sampled_from(["stop", "cancel", "", "", ""]))
    def it_ends(self, ending: str) -> None:
        if not ending or self.clock.state != "running":
            return
        expected = self.model.end(self.now, self.outages, done=ending == "stop")
        if ending == "stop":
            self.take(sla.stop(self.clock, self.now, self.now, self.outages), expected)
        else:
            self.take(sla.cancel(self.clock, self.now, self.outages), expected)
        assert sla.next_due(self.clock, self.outages) is None
        again = sla.stop(self.clock, self.now, self.now, self.outages)
        assert ending == "cancel" or again.events == (), "to stop it twice tells nothing new"

    @invariant()
    def it_wakes_when_the_next_is_due(self) -> None:
        if self.clock.state == "running":
            due = min((step[0] for step in self.model.steps(self.outages)), default=None)
            assert sla.next_due(self.clock, self.outages) == due
        assert sla.target_at(self.clock) == self.model.target_at()

    @invariant()
    def each_is_told_once(self) -> None:
        assert self.told.count("breached") == (self.clock.breached_at is not None) <= 1
        assert self.told.count("warned") == self.clock.warned <= len(self.clock.terms.warnings)
        assert self.told.count("escalated") == self.clock.rungs.bit_count()


OneClock.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestOneClock = OneClock.TestCase
