"""What a batch of decisions reads of people: teams locked, then their people, and what they hold.

Rows are read back only of people of whom there is something to say; the others are as `MemberState` begins.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.routing.adapters import people
from services.routing.domain.decide import Roster
from services.routing.domain.eligibility import MemberState, date_in, local_date
from services.routing.domain.policy import Person, Policy
from services.routing.usecases.person_row import PersonRow
from shared.db.database import Connection


async def load_roster(
    connection: Connection, policy: Policy, team_ids: Sequence[str], person_ids: Sequence[str], now: datetime
) -> Roster:
    """Lock teams and people, each in the order of their ids, and return their state."""
    rotations = await people.lock_teams(connection, sorted(team_ids))
    asked = {person.id for team_id in team_ids for person in policy.members(team_id)} | set(person_ids)
    rows = await people.unusual(connection, sorted(asked), lock=True)
    # Owners of accounts are read without a lock: at worst a cap of theirs is passed by one.
    owners = {account.owner for account in policy.accounts.values()} - asked
    if owners:
        rows |= await people.unusual(connection, sorted(owners), lock=False)
    known = {key: policy.people[key] for key in asked | owners if key in policy.people}
    desks = await people.desks(connection, _by_day_start(known.values(), now))
    return Roster(
        {
            key: _member(rows.get(key), known[key], now, *desks.get(key, (0, 0)))
            for key in rows.keys() | desks.keys()
            if key in known
        },
        rotations,
    )


def _by_day_start(asked: Iterable[Person], now: datetime) -> dict[datetime, list[str]]:
    """Return the people's ids by the start of their day, which `daily_cap` counts from."""
    days: dict[datetime, list[str]] = {}
    for person in asked:
        days.setdefault(_day_start(person.timezone, now), []).append(person.id)
    return days


@lru_cache(maxsize=64)
def _day_start(zone: str, now: datetime) -> datetime:
    return datetime.combine(date_in(zone, now), time(), ZoneInfo(zone))


def _member(row: PersonRow | None, person: Person, now: datetime, load: int, given: int) -> MemberState:
    if row is None:
        return MemberState(assigned_on=local_date(person, now), assigned_today=given, open_load=load)
    return MemberState(
        online=row.online,
        active=row.active,
        paused_until=row.paused_until,
        out_of_rotation_until=row.out_of_rotation_until,
        time_off=tuple(row.time_off),
        assigned_on=local_date(person, now),
        assigned_today=given,
        open_load=load,
    )
