"""A policy with a fault is refused with the line of the fault and what to write instead."""

from datetime import date

import msgspec
import pytest

from services.routing.adapters.holiday_dates import CountryHolidays
from services.routing.domain.policy import Policy, Target
from shared.config_file import ConfigFinding
from tests.support.routing_policies import SMALL, default_text, linted, policy_of

CROWD = "\n".join(
    f"  p{n}: {{name: P{n}, email: p{n}@example.com, team: north, calendar: always}}" for n in range(200)
)

# name -> (what to replace, by what, words of the message, words of the fix)
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "an unknown team": (
        "to: [team: north, queue: n",
        "to: [team: nort, queue: n",
        "no team 'nort'",
        "'north'",
    ),
    "an unknown queue": (
        "queue: north-waits]",
        "queue: north-wait]",
        "no queue 'north-wait'",
        "'north-waits'",
    ),
    "an unknown calendar": (
        "team: north, calendar: always, m",
        "team: north, calendar: alway, m",
        "no calendar 'alway'",
        "'always'",
    ),
    "an unknown manager": ("manager: chief", "manager: chef", "no person 'chef'", "'chief'"),
    "an unknown head": ("north: {head: chief", "north: {head: boss", "no person 'boss'", "use one of"),
    "an unknown key": ("last_queue:", "lst_queue:", "unknown key 'lst_queue'", "'last_queue'"),
    "an unknown zone": ("Europe/Berlin", "Europe/Berln", "no time zone", "'Europe/Berlin'"),
    "an unknown field": ("{score: {at", "{points: {at", "no field 'points'", "traits.points"),
    "an unknown comparison": ("{at_least: 150}", "{atleast: 150}", "unknown key 'atleast'", "'at_least'"),
    "a rule without fallback": (
        "to: [team: north, queue: north-waits]",
        "to: [team: north]",
        "no fallback",
        "queue:",
    ),
    "a target after a queue": (
        "team: south, queue: triage]\nsla",
        "queue: triage, team: south]\nsla",
        "never asked",
        "last target",
    ),
    "no last queue": ("last_queue: triage\n", "", "no last queue", "last_queue: north-waits"),
    "a rule hidden by a wider one": (
        "  - id: big",
        "  - id: hidden\n    when: {traits.country: SE, grade: A1}\n    to: [queue: triage]\n  - id: big",
        "'north' matches first",
        "before",
    ),
    "a rule after one that always matches": (
        "  - id: north\n    when: {traits.country: [SE, NO]}\n",
        "  - id: north\n",
        "'north' matches first",
        "before",
    ),
    "an account rule that is not the first": (
        "when: {account: {known: true}}\n    to: [account_owner, ",
        "when: {account: {known: true}}\n    to: [",
        "their owner",
        "begin",
    ),
    "a team with nobody": ("team: south, calendar", "team: north, calendar", "nobody", "team: south"),
    "a team too large": ("  chief: {", CROWD + "\n  chief: {", "has 202 people", "at most 200"),
    "a calendar never open": ('hours: {mon-fri: "09:00-17:00"}', "hours: {}", "never open", "mon-fri"),
    "hours that are none": ('"09:00-17:00"', '"9 to 5"', "no opening time", "09:00-17:30"),
    "hours that overlap": ('"09:00-17:00"', '["09:00-12:00", "11:00-17:00"]', "overlaps", "join"),
    "a day that is none": ("mon-fri:", "mon-fry:", "no weekday", "daily"),
    "managers in a circle": (
        "chief: {name: Chief,",
        "chief: {manager: anna, name: Chief,",
        "circle",
        "no manager",
    ),
    "a weight of nothing": ("weight: 3", "weight: 0", "expected a number", "1 to 1000"),
    "a warning after the target": ("warn: [20m]", "warn: [30m]", "before the target", "less than"),
    "a target in days": ("{target: 24h}", "{target: 3d}", "has no days", "24h"),
    "no duration": ("{target: 24h}", "{target: soon}", "no duration", "30m"),
    "a clock without target": ("{target: 24h}", "{}", "no target", "target: 30m"),
    "a missing clock": ("      qualify: {target: 24h}\n", "", "no `qualify` clock", "qualify"),
    "a last SLA policy with a condition": (
        "  - id: standard\n",
        "  - id: standard\n    when: {grade: A1}\n",
        "match every lead",
        "remove",
    ),
    "a reason without cool-down": (
        "no_budget: {recycle: 90d}",
        "no_budget: {}",
        "no cool-down",
        "recycle: 90d",
    ),
    "a reason that does both": ("{recycle: 90d}", "{recycle: 90d, disqualify: true}", "both", "keep one"),
    "no reasons": ("  reasons:\n    no_budget: {recycle: 90d}\n", "", "no reason", "no_budget"),
    "a domain of two accounts": (
        "accounts:\n",
        "accounts:\n  other: {owner: anna, domains: [acme.example]}\n",
        "belongs to account",
        "one of the two",
    ),
    "a name that is a number": ("name: Anna,", "name: 12,", "expected a text", '"12"'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_line_and_fix(name: str) -> None:
    old, new, message, fix = FAULTS[name]
    assert SMALL.count(old) == 1, f"{old!r} is not unique"
    text = SMALL.replace(old, new)
    found = linted(text)
    assert isinstance(found, list)
    named = [finding for finding in found if message in finding.message and fix in finding.fix]
    assert named, found
    assert 1 <= named[0].line <= text.count("\n") + 1
    assert named[0].file == "policy.yaml"


def test_the_line_is_that_of_the_fault() -> None:
    found = linted(SMALL.replace("weight: 3", "weight: none"))
    assert isinstance(found, list)
    line = 1 + SMALL[: SMALL.index("weight: 3")].count("\n")
    assert [(finding.line, finding.path) for finding in found] == [(line, "people.bilal.weight")]


def test_every_fault_is_told_at_once() -> None:
    found = linted(SMALL.replace("weight: 3", "weight: 0").replace("target: 24h", "target: soon"))
    assert isinstance(found, list)
    assert {finding.path for finding in found} >= {"people.bilal.weight", "sla.0.clocks.qualify.target"}


@pytest.mark.parametrize(
    "text", ["", "[]", "hello", "people: [1]\nrules: 3\nsla: x\nteams: {a: 1}\ncalendars: 2"]
)
def test_anything_at_all_gets_an_answer(text: str) -> None:
    found = linted(text)
    assert isinstance(found, list)
    assert found


def test_a_policy_survives_its_storage() -> None:
    policy = policy_of()
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy


def test_an_sla_policy_takes_what_it_does_not_say_from_the_last() -> None:
    hot = "sla:\n  - id: hot\n    when: {hand_raise: true}\n    clocks:\n      accept: {target: 5m}\n"
    policy = policy_of(SMALL.replace("sla:\n", hot))
    assert policy.sla[0].clocks["accept"].target_seconds == 300
    assert policy.sla[0].clocks["qualify"] == policy.sla[1].clocks["qualify"]


def test_points_are_written_as_points_and_kept_as_thousandths() -> None:
    big = policy_of().rules[2].when
    assert [child.values for child in big.children if child.field == "score"] == [(150_000,)]


def test_the_policy_that_ships_has_no_fault_and_resolves_its_holidays() -> None:
    policy = linted(default_text(), CountryHolidays(date(2026, 11, 23)))
    assert isinstance(policy, Policy), policy
    assert date(2026, 12, 25) in policy.calendars["berlin"].holidays
    assert date(2026, 11, 26) in policy.calendars["new-york"].holidays
    assert [rule.targets[0] for rule in policy.rules[:2]] == [
        Target("queue", "needs-data"), Target("account_owner"),
    ]  # fmt: skip
    assert policy.recycle.max_cycles == 3
    assert sorted(reason.cool_down_seconds // 86_400 for reason in policy.recycle.reasons.values()) == [
        0, 0, 0, 30, 60, 90, 180, 180,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("holidays", "message"),
    [("{country: DEU}", "country 'DEU'"), ("{country: DE, subdivision: XX}", "subdivision 'XX'")],
)
def test_an_unknown_country_of_holidays_is_a_finding(holidays: str, message: str) -> None:
    text = SMALL.replace("timezone: Europe/Berlin\n", f"timezone: Europe/Berlin\n    holidays: {holidays}\n")
    found = linted(text, CountryHolidays(date(2026, 11, 23)))
    if isinstance(found, Policy):  # three letters are a known alias
        assert date(2026, 12, 25) in found.calendars["office"].holidays
        return
    assert _messages(found, message)


def _messages(found: list[ConfigFinding], words: str) -> list[str]:
    return [finding.message for finding in found if words in finding.message]
