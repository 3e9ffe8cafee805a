"""What an SLA clock on real time must have said by now, told a second way: by counting, without calendars."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.routing.domain.policy import RungAction

Span = tuple[datetime, datetime]
Said = tuple[str, int, str, bool]
"""(warned, breached or escalated; rung from 1; action; during an outage)."""


@dataclass(frozen=True)
class ModelTerms:
    """Seconds after the start: `warnings`, `target`; `ladder`: (seconds after the target, action)."""

    target: int
    warnings: tuple[int, ...] = ()
    ladder: tuple[tuple[int, RungAction], ...] = ()
    pauses: dict[str, int] = field(default_factory=dict)


@dataclass
class ModelClock:
    """One running clock: what it said so far, and its pauses as (begins, ends, reason)."""

    kind: str
    terms: ModelTerms
    started_at: datetime
    pauses: list[tuple[datetime, datetime, str]] = field(default_factory=list)
    warned: int = 0
    breached: bool = False
    rungs: set[int] = field(default_factory=set)
    in_outage: bool = False

    def after(self, seconds: float, since: datetime | None = None) -> datetime:
        """Return the first instant by which that many unpaused seconds have passed."""
        at, left = since or self.started_at, timedelta(seconds=seconds)
        for begins, ends, _ in self.pauses:
            if not left or begins - at >= left:
                break
            if ends > at:
                left -= max(begins - at, timedelta())
                at = ends
        return at + left

    def target_at(self) -> datetime:
        """Return the instant of the breach."""
        return self.after(self.terms.target)

    def _unpaused(self, span: Span) -> float:
        lost = (span[1] - span[0]).total_seconds()
        for begins, ends, _ in self.pauses:
            lost -= max((min(ends, span[1]) - max(begins, span[0])).total_seconds(), 0)
        return lost

    def rung_at(self, rung: int, outages: Iterable[Span]) -> datetime:
        """Return when a rung is due: one that acts gives back what an outage took, at most a target."""
        after, action = self.terms.ladder[rung]
        due = self.after(self.terms.target + after)
        lost = 0.0
        for begins, ends in outages:
            if action == "notify" or begins >= due or ends <= self.started_at:
                continue
            taken = self._unpaused((max(begins, self.started_at), ends))
            lost = min(lost + taken, self.terms.target)
            if taken:
                due = max(self.after(self.terms.target + after + lost), self.after(lost, ends))
        return due

    def steps(self, outages: Sequence[Span]) -> list[tuple[datetime, str, int]]:
        """Return (due, kind, rung) of all that is still to be said, in order."""
        steps = [(self.after(s), "warned", 0) for s in self.terms.warnings[self.warned :]]
        steps += [] if self.breached else [(self.target_at(), "breached", 0)]
        rungs = set(range(len(self.terms.ladder))) - self.rungs
        return steps + sorted((self.rung_at(rung, outages), "escalated", rung + 1) for rung in rungs)

    def fire(self, now: datetime, outages: Sequence[Span] = ()) -> list[Said]:
        """Say all that is due by `now`."""
        return self._say([step for step in self.steps(outages) if step[0] <= now], outages)

    def end(self, at: datetime, outages: Sequence[Span] = (), *, done: bool = False) -> list[Said]:
        """Say what was missed before the end; the ladder is not needed any more.

        What was `done` at the very target, after the timer had looked at that instant, was in time.
        """
        if self.kind == "cool_down":
            return []
        late = [step for step in self.steps(outages) if step[0] < at and step[1] != "escalated"]
        said = self._say(late, outages)
        if done and self.breached and at <= self.target_at():
            said.append(("breach_corrected", 0, "notify", self.in_outage))
        return said

    def _say(self, steps: Sequence[tuple[datetime, str, int]], outages: Sequence[Span]) -> list[Said]:
        said: list[Said] = []
        for due, kind, rung in steps:
            self.warned += kind == "warned"
            self.breached = self.breached or kind == "breached"
            self.rungs |= {rung - 1} if rung else set()
            action = self.terms.ladder[rung - 1][1] if rung else "notify"
            inside = any(begins <= due < ends for begins, ends in outages)
            self.in_outage = inside if kind == "breached" else self.in_outage
            said.append((kind, rung, action, inside))
        return said

    def pause(self, reason: str, at: datetime) -> bool:
        """Pause; tell whether that is possible."""
        limit = self.terms.pauses.get(reason)
        if limit is None or self.breached or any(low <= at < high for low, high, _ in self.pauses):
            return False
        used = sum(((high - low) for low, high, why in self.pauses if why == reason), timedelta())
        left = timedelta(seconds=limit) - used
        if left <= timedelta():
            return False
        self.pauses.append((at, at + left, reason))
        return True

    def resume(self, at: datetime) -> None:
        """End a running pause."""
        if self.pauses and self.pauses[-1][0] <= at < self.pauses[-1][1]:
            self.pauses[-1] = (self.pauses[-1][0], at, self.pauses[-1][2])
