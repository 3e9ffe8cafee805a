"""The `people`, `teams`, `accounts` and `queues` of a policy."""

from collections.abc import Collection, Mapping
from typing import Any

from services.routing.domain.business_calendar import Calendar
from services.routing.domain.policy import MAX_TEAM_SIZE, Account, Person, Queue, Team, TimeOff
from services.routing.usecases.policy_reader import PolicyReader
from services.routing.usecases.read_calendars import read_zone
from shared.config_file import Path

_PERSON = (
    "name", "email", "team", "role", "timezone", "calendar", "weight", "skills", "daily_cap", "open_cap",
    "manager", "time_off", "active",
)  # fmt: skip
_MAX_WEIGHT = 1_000
_MAX_CAP = 100_000


def read_people(
    reader: PolicyReader, value: Any, calendars: Mapping[str, Calendar], teams: Collection[str]
) -> dict[str, Person]:
    """Return the people by id; who manages whom must end somewhere."""
    entries = list(reader.entries(value, ("people",), _PERSON))
    ids = [name for name, _, _ in entries]
    people = {
        name: _person(reader, name, path, entry, calendars, teams, ids) for name, path, entry in entries
    }
    for name, person in people.items():
        _refuse_circle(reader, name, person, people)
    return people


def _person(
    reader: PolicyReader,
    name: str,
    path: Path,
    entry: dict[str, Any],
    calendars: Mapping[str, Calendar],
    teams: Collection[str],
    people: Collection[str],
) -> Person:
    calendar = reader.reference(entry.get("calendar"), (*path, "calendar"), calendars, "calendar")
    zone = calendars[calendar].timezone if calendar in calendars else "UTC"
    member_of = reader.items(entry.get("team"), (*path, "team"))
    manager = entry.get("manager")
    caps = [
        reader.count(entry.get(cap), (*path, cap), low=1, high=_MAX_CAP, default=None)
        for cap in ("daily_cap", "open_cap")
    ]
    email = reader.text(entry.get("email"), (*path, "email"))
    if email and "@" not in email:
        reader.fault((*path, "email"), "this is no e-mail address", "write name@domain")
    return Person(
        id=name,
        name=reader.text(entry.get("name"), (*path, "name")),
        email=email,
        timezone=read_zone(reader, entry.get("timezone"), (*path, "timezone"), zone),
        calendar=calendar,
        teams=tuple(reader.reference(item, at, teams, "team") for at, item in member_of),
        role=reader.text(entry.get("role"), (*path, "role"), "rep"),
        weight=reader.count(entry.get("weight"), (*path, "weight"), low=1, high=_MAX_WEIGHT, default=1) or 1,
        skills=frozenset(reader.texts(entry.get("skills"), (*path, "skills"))),
        daily_cap=caps[0],
        open_cap=caps[1],
        manager=reader.reference(manager, (*path, "manager"), people, "person") if manager else None,
        time_off=_time_off(reader, entry.get("time_off"), (*path, "time_off")),
        active=reader.flag(entry.get("active"), (*path, "active"), default=True),
    )


def _time_off(reader: PolicyReader, value: Any, path: Path) -> tuple[TimeOff, ...]:
    found: list[TimeOff] = []
    for at, item in reader.items(value, path):
        entry = reader.mapping(item, at, ("from", "to", "reason"))
        start = reader.instant(entry.get("from"), (*at, "from"))
        end = reader.instant(entry.get("to"), (*at, "to"))
        if start and end:
            if end <= start:
                reader.fault(at, "the absence ends before it begins", "swap `from` and `to`")
            found.append(TimeOff(start, end, reader.text(entry.get("reason"), (*at, "reason"), "")))
    return tuple(found)


def _refuse_circle(reader: PolicyReader, name: str, person: Person, people: Mapping[str, Person]) -> None:
    chain = [name]
    manager = person.manager
    while manager is not None and manager in people and manager not in chain:
        chain.append(manager)
        manager = people[manager].manager
    if manager == name:
        circle = " -> ".join([*chain, name])
        reader.fault(
            ("people", name, "manager"), f"managers in a circle: {circle}", "let one have no manager"
        )


def read_teams(reader: PolicyReader, value: Any, calendars: Collection[str]) -> dict[str, Team]:
    """Return the teams by id; heads and sizes are checked by `check_teams` once the people are known."""
    return {
        name: Team(
            name,
            reader.text(entry.get("name"), (*path, "name"), name),
            reader.text(entry.get("head"), (*path, "head")),
            reader.reference(entry.get("calendar"), (*path, "calendar"), calendars, "calendar"),
        )
        for name, path, entry in reader.entries(value, ("teams",), ("name", "head", "calendar"))
    }


def check_teams(reader: PolicyReader, teams: Mapping[str, Team], people: Mapping[str, Person]) -> None:
    """Note unknown heads, empty teams and teams too large to decide quickly."""
    for name, team in teams.items():
        path: Path = ("teams", name)
        reader.reference(team.head or None, (*path, "head"), people, "person")
        size = sum(name in person.teams for person in people.values())
        if not any(name in person.teams and person.active for person in people.values()):
            reader.fault(
                path, f"team {name!r} has nobody in it", f"give somebody `team: {name}`, or remove it"
            )
        if size > MAX_TEAM_SIZE:
            fix = f"split it: a team has at most {MAX_TEAM_SIZE}"
            reader.fault(path, f"team {name!r} has {size} people", fix)


def read_accounts(reader: PolicyReader, value: Any, people: Collection[str]) -> dict[str, Account]:
    """Return the accounts by id; a domain belongs to one of them."""
    owners: dict[str, str] = {}
    found: dict[str, Account] = {}
    for name, path, entry in reader.entries(value, ("accounts",), ("name", "owner", "domains", "stage")):
        domains = tuple(d.lower() for d in reader.texts(entry.get("domains"), (*path, "domains")))
        for domain in domains:
            if owners.setdefault(domain, name) != name:
                message = f"the domain {domain!r} belongs to account {owners[domain]!r} already"
                reader.fault((*path, "domains"), message, "keep it in one of the two")
        found[name] = Account(
            name,
            reader.text(entry.get("name"), (*path, "name"), name),
            reader.reference(entry.get("owner"), (*path, "owner"), people, "person"),
            domains,
            reader.text(entry.get("stage"), (*path, "stage"), "customer"),
        )
    return found


def read_queues(
    reader: PolicyReader,
    value: Any,
    calendars: Collection[str],
    teams: Collection[str],
    people: Collection[str],
) -> dict[str, Queue]:
    """Return the queues by id."""
    found: dict[str, Queue] = {}
    for name, path, entry in reader.entries(value, ("queues",), ("name", "owner", "calendar", "teams")):
        serving = reader.items(entry.get("teams"), (*path, "teams"))
        found[name] = Queue(
            name,
            reader.text(entry.get("name"), (*path, "name"), name),
            reader.reference(entry.get("owner"), (*path, "owner"), people, "person"),
            reader.reference(entry.get("calendar"), (*path, "calendar"), calendars, "calendar"),
            tuple(reader.reference(item, at, teams, "team") for at, item in serving),
        )
    return found
