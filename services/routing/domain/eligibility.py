"""May this person take this lead now? A refusal has a code, its numbers, and an instant when it ends."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
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

    @property
    def is_there(self) -> bool:
        """True when nothing but a full desk can speak against them."""
        return (
            self.online and self.active and self.paused_until is None
            and self.out_of_rotation_until is None and not self.time_off
        )  # fmt: skip


_FRESH = MemberState()


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
    return date_in(person.timezone, now)


@lru_cache(maxsize=1024)  # a batch asks it of each member for each lead, at one instant
def date_in(zone: str, now: datetime) -> date:
    """Return the date at `now` in a time zone."""
    return now.astimezone(ZoneInfo(zone)).date()


def next_local_midnight(person: Person, now: datetime) -> datetime:
    """Return the instant at which the next date begins for this person."""
    tomorrow = local_date(person, now) + timedelta(days=1)
    return datetime.combine(tomorrow, time(), ZoneInfo(person.timezone)).astimezone(now.tzinfo)


def judge(person: Person, member: MemberState, need: Need, policy: Policy, now: datetime) -> Verdict:
    """Return the first refusal in the order of `Refusal`, or an eligible verdict."""
    return (
        _standing_refusal(person, member, need, now)
        or _presence_refusal(person, member, policy, now)
        or _cap_refusal(person, member, now)
        or Verdict(None, _load(person, member, now))
    )


def judge_all(
    people: Sequence[Person], members: Mapping[str, MemberState], need: Need, policy: Policy, now: datetime
) -> list[Verdict]:
    """Return the verdict of `judge` on each of them; who is not in `members` is as `MemberState` begins.

    Of nearly everybody there is only the load to say: that is told without asking one thing after another.
    """
    if need.skills:
        return [judge(person, members.get(person.id, _FRESH), need, policy, now) for person in people]
    special = need.rejected_by | need.tried | need.excluded
    shut = {name for name in {person.calendar for person in people} if not _is_open(policy, name, now)}
    verdicts = []
    for person in people:
        member = members.get(person.id, _FRESH)
        if (
            person.id in special or person.calendar in shut
            or not (person.active and member.is_there) or person.time_off
        ):  # fmt: skip
            verdicts.append(judge(person, member, need, policy, now))
        else:
            today = member.assigned_today and _today(person, member, now)
            verdicts.append(
                _free(today, member.open_load, person.daily_cap, person.open_cap)
                or judge(person, member, need, policy, now)
            )
    return verdicts


def _is_open(policy: Policy, calendar: str, now: datetime) -> bool:
    return business_calendar.is_open(policy.calendars[calendar], now)


@lru_cache(maxsize=4096)  # many members have the same on their desks
def _free(today: int, load: int, daily_cap: int | None, open_cap: int | None) -> Verdict | None:
    """Return the verdict on somebody against whom nothing but their caps may speak; None where these do."""
    if (daily_cap is not None and today >= daily_cap) or (open_cap is not None and load >= open_cap):
        return None
    return Verdict(None, _numbers(today, load, daily_cap, open_cap))


def _standing_refusal(person: Person, member: MemberState, need: Need, now: datetime) -> Verdict | None:
    """Return what speaks against the person whatever the hour."""
    if not (person.active and member.active):
        return Verdict("deactivated")
    out = member.out_of_rotation_until
    if out is not None and now < out:
        return Verdict("out_of_rotation", {"until": out.isoformat()}, out)
    if person.id in need.rejected_by:
        return Verdict("rejected_before")
    if person.id in need.tried:
        return Verdict("already_tried")
    if person.id in need.excluded:
        return Verdict("excluded")
    if need.skills:
        lacking = {skill.casefold() for skill in need.skills} - {skill.casefold() for skill in person.skills}
        if lacking:
            return Verdict("skill_missing", {"missing": ", ".join(sorted(lacking))})
    return None


def _presence_refusal(person: Person, member: MemberState, policy: Policy, now: datetime) -> Verdict | None:
    if not member.online:
        return Verdict("offline")
    paused = member.paused_until
    if paused is not None and now < paused:
        return Verdict("paused", {"until": paused.isoformat()}, paused)
    for off in (*person.time_off, *member.time_off):
        if off.start <= now < off.end:
            return Verdict("time_off", {"until": off.end.isoformat()}, off.end)
    calendar = policy.calendars[person.calendar]
    if not business_calendar.is_open(calendar, now):
        opens = business_calendar.next_open(calendar, now)
        local = now.astimezone(ZoneInfo(calendar.timezone))
        return Verdict("outside_hours", {"local": f"{local:%a %H:%M}", "opens": opens.isoformat()}, opens)
    return None


def _cap_refusal(person: Person, member: MemberState, now: datetime) -> Verdict | None:
    if person.daily_cap is not None and _today(person, member, now) >= person.daily_cap:
        return Verdict("daily_cap", _load(person, member, now), next_local_midnight(person, now))
    if person.open_cap is not None and member.open_load >= person.open_cap:
        return Verdict("open_cap", _load(person, member, now))
    return None


def _today(person: Person, member: MemberState, now: datetime) -> int:
    given = member.assigned_today
    return given if given and member.assigned_on == local_date(person, now) else 0


def _load(person: Person, member: MemberState, now: datetime) -> dict[str, str | int]:
    return _numbers(_today(person, member, now), member.open_load, person.daily_cap, person.open_cap)


def _numbers(today: int, load: int, daily_cap: int | None, open_cap: int | None) -> dict[str, str | int]:
    numbers: dict[str, str | int] = {"today": today, "open": load}
    if daily_cap is not None:
        numbers["daily_cap"] = daily_cap
    if open_cap is not None:
        numbers["open_cap"] = open_cap
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
