"""What a batch of decisions reads of people: teams locked, then their people, and what they hold.

Rows are read back only of people of whom there is something to say; the others are as `MemberState` begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.routing.adapters import people
from services.routing.domain.decide import Roster
from services.routing.domain.eligibility import MemberState, date_in
from services.routing.domain.policy import Person, Policy
from services.routing.usecases.person_row import PersonRow
from shared.db.database import Connection


async def load_roster(
    connection: Connection,
    policy: Policy,
    team_ids: Sequence[str],
    person_ids: Sequence[str],
    now: datetime,
    *,
    lock: bool,
) -> Roster:
    """Return the state of teams and people; with `lock`, locked before, each in the order of their ids.

    A transaction may lock a roster once, after its leads and before its queues.
    """
    rotations = await people.teams(connection, sorted(team_ids), lock=lock)
    asked = {person.id for team_id in team_ids for person in policy.members(team_id)} | set(person_ids)
    rows = await people.unusual(connection, sorted(asked), lock=lock)
    # Owners of accounts are read without a lock: at worst a cap of theirs is passed by one.
    owners = {account.owner for account in policy.accounts.values()} - asked
    if owners:
        rows |= await people.unusual(connection, sorted(owners), lock=False)
    known = {key: policy.people[key] for key in asked | owners if key in policy.people}
    zones = _by_zone(known.values())
    desks = await people.desks(connection, [(_day_start(zone, now), ids) for zone, ids in zones.items()])
    members: dict[str, MemberState] = {}
    for zone, ids in zones.items():
        today = date_in(zone, now)
        for key in ids:
            if key in desks:
                members[key] = _with_desk(today, *desks[key])
    members |= {
        key: _member(row, members.get(key, MemberState())) for key, row in rows.items() if key in known
    }
    return Roster(members, rotations)


def _by_zone(asked: Iterable[Person]) -> dict[str, list[str]]:
    """Return the people's ids by their time zone, in which `daily_cap` counts a day."""
    zones: dict[str, list[str]] = {}
    for person in asked:
        zones.setdefault(person.timezone, []).append(person.id)
    return zones


def _day_start(zone: str, now: datetime) -> datetime:
    return datetime.combine(date_in(zone, now), time(), ZoneInfo(zone))


@lru_cache(maxsize=4096)  # many people have the same on their desks
def _with_desk(today: date, load: int, given: int) -> MemberState:
    return MemberState(assigned_on=today, assigned_today=given, open_load=load)


def _member(row: PersonRow, desk: MemberState) -> MemberState:
    return replace(
        desk,
        online=row.online,
        active=row.active,
        paused_until=row.paused_until,
        out_of_rotation_until=row.out_of_rotation_until,
        time_off=tuple(row.time_off),
    )
