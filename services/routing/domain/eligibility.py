"""May this person take this lead now? A refusal has a code, its numbers, and an instant when it ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Literal
from zoneinfo import ZoneInfo

from services.routing.domain import business_calendar
from services.routing.domain.policy import Person, Policy, TimeOff

Refusal = Literal[
    "deactivated",
    "out_of_rotation",
    "rejected_before",
    "already_tried",
    "excluded",
    "skill_missing",
    "offline",
    "paused",
    "time_off",
    "outside_hours",
    "daily_cap",
    "open_cap",
]


@dataclass(frozen=True, slots=True)
class MemberState:
    """What changes about a person between policy pushes. Defaults: there, with nothing on the desk.

    `assigned_today` counts hand-offs of the local date `assigned_on` (their zone); another date means 0.
    """

    online: bool = True
    active: bool = True
    paused_until: datetime | None = None
    out_of_rotation_until: datetime | None = None
    time_off: tuple[TimeOff, ...] = ()
    assigned_on: date | None = None
    assigned_today: int = 0
    open_load: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What one lead asks of a candidate. The sets hold person ids."""

    skills: frozenset[str] = field(default_factory=frozenset)
    rejected_by: frozenset[str] = field(default_factory=frozenset)
    tried: frozenset[str] = field(default_factory=frozenset)
    excluded: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal` None means eligible. `numbers` are what the verdict rests on; `until`: when time ends it."""

    refusal: Refusal | None
    numbers: dict[str, str | int] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def eligible(self) -> bool:
        """True when nothing speaks against it."""
        return self.refusal is None


def local_date(person: Person, now: datetime) -> date:
    """Return the date at `now` in the person's zone: the day that `daily_cap` counts."""
    return now.astimezone(ZoneInfo(person.timezone)).date()


def next_local_midnight(person: Person, now: datetime) -> datetime:
    """Return the instant at which the next date begins for this person."""
    tomorrow = local_date(person, now) + timedelta(days=1)
    return datetime.combine(tomorrow, time(), ZoneInfo(person.timezone)).astimezone(now.tzinfo)


def judge(person: Person, member: MemberState, need: Need, policy: Policy, now: datetime) -> Verdict:
    """Return the first refusal in the order of `Refusal`, or an eligible verdict."""
    refusals = chain(
        _standing_refusals(person, member, need, now),
        _presence_refusals(person, member, policy, now),
        _cap_refusals(person, member, now),
    )
    return next(refusals, Verdict(None, _load(person, member, now)))


def _standing_refusals(person: Person, member: MemberState, need: Need, now: datetime) -> Iterator[Verdict]:
    """Yield what speaks against the person whatever the hour."""
    if not (person.active and member.active):
        yield Verdict("deactivated")
    out = member.out_of_rotation_until
    if out is not None and now < out:
        yield Verdict("out_of_rotation", {"until": out.isoformat()}, out)
    if person.id in need.rejected_by:
        yield Verdict("rejected_before")
    if person.id in need.tried:
        yield Verdict("already_tried")
    if person.id in need.excluded:
        yield Verdict("excluded")
    lacking = {skill.casefold() for skill in need.skills} - {skill.casefold() for skill in person.skills}
    if lacking:
        yield Verdict("skill_missing", {"missing": ", ".join(sorted(lacking))})


def _presence_refusals(
    person: Person, member: MemberState, policy: Policy, now: datetime
) -> Iterator[Verdict]:
    if not member.online:
        yield Verdict("offline")
    paused = member.paused_until
    if paused is not None and now < paused:
        yield Verdict("paused", {"until": paused.isoformat()}, paused)
    for off in (*person.time_off, *member.time_off):
        if off.start <= now < off.end:
            yield Verdict("time_off", {"until": off.end.isoformat()}, off.end)
    calendar = policy.calendars[person.calendar]
    if not business_calendar.is_open(calendar, now):
        opens = business_calendar.next_open(calendar, now)
        local = now.astimezone(ZoneInfo(calendar.timezone))
        yield Verdict("outside_hours", {"local": f"{local:%a %H:%M}", "opens": opens.isoformat()}, opens)


def _cap_refusals(person: Person, member: MemberState, now: datetime) -> Iterator[Verdict]:
    if person.daily_cap is None and person.open_cap is None:
        return
    numbers = _load(person, member, now)
    if person.daily_cap is not None and _today(person, member, now) >= person.daily_cap:
        yield Verdict("daily_cap", numbers, next_local_midnight(person, now))
    if person.open_cap is not None and member.open_load >= person.open_cap:
        yield Verdict("open_cap", numbers)


def _today(person: Person, member: MemberState, now: datetime) -> int:
    return member.assigned_today if member.assigned_on == local_date(person, now) else 0


def _load(person: Person, member: MemberState, now: datetime) -> dict[str, str | int]:
    numbers: dict[str, str | int] = {"today": _today(person, member, now), "open": member.open_load}
    if person.daily_cap is not None:
        numbers["daily_cap"] = person.daily_cap
    if person.open_cap is not None:
        numbers["open_cap"] = person.open_cap
    return numbers


def own_changes(person: Person, member: MemberState, now: datetime) -> Iterator[datetime]:
    """Yield the instants after `now` at which something other than the opening hours changes by itself."""
    if not (person.active and member.active and member.online):
        return
    instants = [member.paused_until, member.out_of_rotation_until]
    for off in (*person.time_off, *member.time_off):
        instants += [off.start, off.end]
    if person.daily_cap is not None and _today(person, member, now) >= person.daily_cap:
        instants.append(next_local_midnight(person, now))
    yield from (at for at in instants if at is not None and at > now)


def next_change(person: Person, member: MemberState, policy: Policy, now: datetime) -> datetime | None:
    """Return the next instant after `now` at which the clock alone can make this person eligible or not.

    None when only an act can (deactivated, offline).
    """
    if not (person.active and member.active and member.online):
        return None
    turn = business_calendar.next_change(policy.calendars[person.calendar], now)
    return min((*own_changes(person, member, now), *([turn] if turn else [])), default=None)
