"""Engagement: what each signal earned per UTC day under its caps, how that has decayed, and the lines.

Caps are taken before decay, newest days first, and on the cut's day first what counts; so what counts is
worth the same whether or not older activity is known.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.scoring.domain.decay import DAY_US, Fading, day_end_us, rounded
from services.scoring.domain.line import Line
from services.scoring.domain.model import BOT_PREFIX, SCORE_MAX, Group, Model, Signal
from services.scoring.domain.signals import DayCount, utc_day

Steps = tuple[tuple[int, int], ...]  # of `Bands`: (count, points), ascending


@dataclass(slots=True)
class Bucket:
    """One signal on one day, on one side of the cut; `counts`: after it.

    Points before decay: `raw` as counted, `capped` under the day's cap, `kept` under the group's cap too.
    """

    day: date
    end_us: int
    counts: bool
    count: int = 0
    bots: int = 0
    last_at: datetime | None = None
    raw: int = 0
    capped: int = 0
    kept: int = 0

    def add(self, row: DayCount) -> None:
        """Add what a person did."""
        self.count += row.count
        if row.last_at is not None and (self.last_at is None or row.last_at > self.last_at):
            self.last_at = row.last_at


@dataclass(frozen=True, slots=True)
class Account:
    """What one signal earned; `buckets` newest first, counting before left out."""

    signal: Signal
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A lead's engagement before decay; the same at every instant until new activity."""

    accounts: tuple[Account, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Worth:
    """An account at an instant in milli-points, each sum rounded once.

    `counting` is the part of `kept` that lies after the cut; `counting_bonus` the frequency bonus it earns.
    """

    raw: int
    capped: int
    kept: int
    counting: int
    bonus: int
    counting_bonus: int

    @property
    def points(self) -> int:
        """Return what goes into the score."""
        return self.counting + self.counting_bonus


def open_ledger(counts: Iterable[DayCount], model: Model, *, as_of: datetime, cut: datetime | None) -> Ledger:
    """Sum a lead's counts over its identities and apply the caps; rows of days after `as_of` are ignored."""
    until, cut_day = utc_day(as_of), utc_day(cut) if cut is not None else None
    tally: defaultdict[str, dict[tuple[date, bool], Bucket]] = defaultdict(dict)
    for row in counts:
        if row.day > until:
            continue
        counting = not row.left_out and (cut_day is None or row.day >= cut_day)
        name = row.signal.removeprefix(BOT_PREFIX)
        buckets = tally[name]
        bucket = buckets.get((row.day, counting))
        if bucket is None:
            bucket = buckets[row.day, counting] = Bucket(row.day, day_end_us(row.day), counting)
        if name == row.signal:
            bucket.add(row)
        else:
            bucket.bots += row.count
    accounts = []
    for signal in model.signals:
        if signal.id in tally:
            newest_first = sorted(tally[signal.id].items(), reverse=True)
            accounts.append(Account(signal, tuple(bucket for _, bucket in newest_first)))
            _cap_days(accounts[-1])
    for group in model.groups:
        _cap_group(group, [account for account in accounts if account.signal.group == group.id])
    return Ledger(tuple(accounts), model.groups)


def _cap_days(account: Account) -> None:
    signal, day, taken = account.signal, None, 0
    for bucket in account.buckets:
        taken = taken if bucket.day == day else 0
        day = bucket.day
        bucket.raw = bucket.capped = bucket.count * signal.points
        if signal.cap_per_day is not None:
            room = signal.cap_per_day - abs(taken)
            bucket.capped = max(-room, min(room, bucket.raw))
        taken += bucket.capped
        bucket.kept = bucket.capped


def _cap_group(group: Group, accounts: list[Account]) -> None:
    buckets = [bucket for account in accounts for bucket in account.buckets]
    room = group.cap
    # The sort is stable: within a day the model's order of signals decides who comes first under the cap.
    for bucket in sorted(buckets, key=lambda bucket: (bucket.day, bucket.counts), reverse=True):
        bucket.kept = min(bucket.capped, room)
        room -= bucket.kept


def worth_at(account: Account, fading: Fading) -> Worth:
    """Return what the account is worth at an instant."""
    half_life = account.signal.half_life_days
    raw = capped = kept = counting = 0
    for bucket in account.buckets:
        factor = fading.factor(bucket.end_us, half_life)
        raw += bucket.raw * factor
        capped += bucket.capped * factor
        kept += bucket.kept * factor
        if bucket.counts:
            counting += bucket.kept * factor
    bonus, counting_bonus = _bonus(account, fading.at_us)
    return Worth(rounded(raw), rounded(capped), rounded(kept), rounded(counting), bonus, counting_bonus)


def _bonus(account: Account, at_us: int) -> tuple[int, int]:
    bands = account.signal.bands
    if bands is None:
        return 0, 0
    window_us = bands.window_days * DAY_US
    seen = counting = 0
    for bucket in account.buckets:
        if at_us - bucket.end_us < window_us:
            seen += bucket.count
            counting += bucket.count if bucket.counts else 0
    return reached(bands.steps, seen), reached(bands.steps, counting)


def reached(steps: Steps, seen: int) -> int:
    """Return the points of the highest step that so many activities reach."""
    found = 0
    for count, points in steps:
        if seen < count:
            break
        found = points
    return found


def hand_raised(ledger: Ledger, at_us: int, valid_days: int) -> tuple[bool, datetime | None]:
    """Tell whether a hand-raise counts at an instant, and when the latest was."""
    since_us = at_us - valid_days * DAY_US
    raised = [bucket for bucket in _hand_raises(ledger) if bucket.end_us > since_us]
    instants = [bucket.last_at for bucket in raised if bucket.last_at is not None]
    return bool(raised), max(instants, default=None)


def hand_raise_ends(ledger: Ledger) -> list[int]:
    """Return the instants (microseconds) from which the hand-raises that count age."""
    return [bucket.end_us for bucket in _hand_raises(ledger)]


def _hand_raises(ledger: Ledger) -> Iterable[Bucket]:
    for account in ledger.accounts:
        if account.signal.hand_raise:
            yield from (bucket for bucket in account.buckets if bucket.counts and bucket.count)


def engagement_lines(ledger: Ledger, at_us: int, cut: datetime | None) -> list[Line]:
    """Return the lines of the engagement at an instant; their sum is the score, 0..100_000."""
    fading = Fading(at_us)
    worths = [worth_at(account, fading) for account in ledger.accounts]
    lines = [
        line
        for account, worth in zip(ledger.accounts, worths, strict=True)
        for line in _signal_lines(account, worth)
    ]
    for group in ledger.groups:
        pairs = zip(ledger.accounts, worths, strict=True)
        over = sum(worth.kept - worth.capped for account, worth in pairs if account.signal.group == group.id)
        if over:
            lines.append(_line(group.id, "cap", over, group.label, {"cap": group.cap}))
    lines += _cut_lines(ledger, worths, cut)
    lines += _bot_lines(ledger)
    total = sum(line.points for line in lines)
    if not 0 <= total <= SCORE_MAX:
        clamped = max(0, min(SCORE_MAX, total))
        lines.append(_line("engagement", "clamp", clamped - total, "between 0 and 100", {"sum": total}))
    return lines


def _line(rule: str, kind: Any, points: int, label: str, inputs: dict[str, Any]) -> Line:
    return Line("engagement", rule, kind, points, label, "matched", inputs)


def _signal_lines(account: Account, worth: Worth) -> Iterable[Line]:
    signal = account.signal
    count = sum(bucket.count for bucket in account.buckets)
    if count:
        inputs = {"count": count, "points_each": signal.points, "last_day": _last_day(account)}
        if signal.half_life_days is not None:
            inputs["half_life_days"] = signal.half_life_days
        yield _line(signal.id, "signal", worth.raw, signal.label, inputs)
    if worth.capped != worth.raw:
        cap = {"cap_per_day": signal.cap_per_day}
        yield _line(signal.id, "cap", worth.capped - worth.raw, f"{signal.label}: at most so much a day", cap)
    if worth.bonus:
        assert signal.bands is not None
        window = {"window_days": signal.bands.window_days}
        yield _line(f"{signal.id}.frequency", "signal", worth.bonus, f"{signal.label}: often", window)


def _last_day(account: Account) -> str:
    return next(bucket.day for bucket in account.buckets if bucket.count).isoformat()


def _cut_lines(ledger: Ledger, worths: list[Worth], cut: datetime | None) -> Iterable[Line]:
    left_out = sum(
        bucket.count for account in ledger.accounts for bucket in account.buckets if not bucket.counts
    )
    if cut is not None and left_out:
        points = sum(worth.points - worth.kept - worth.bonus for worth in worths)
        inputs = {"cut": cut.isoformat(), "count": left_out}
        yield _line("cut", "cut", points, "known before this cycle: left out", inputs)


def _bot_lines(ledger: Ledger) -> Iterable[Line]:
    for account in ledger.accounts:
        bots = sum(bucket.bots for bucket in account.buckets)
        if bots:
            label = f"{account.signal.label}: made by bots"
            yield _line(account.signal.id, "bot", 0, label, {"count": bots})
