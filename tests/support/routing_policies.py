"""A small policy to change in tests, and the text of the one that ships."""

from importlib.resources import files

from services.routing.domain.policy import Policy
from services.routing.usecases.lint_policy import lint
from services.routing.usecases.read_calendars import HolidayDates
from shared.config_file import ConfigFinding, parse

SMALL = """\
calendars:
  office:
    timezone: Europe/Berlin
    hours: {mon-fri: "09:00-17:00"}
  always:
    timezone: UTC
    hours: {daily: "00:00-24:00"}
teams:
  north: {head: chief, calendar: always}
  south: {head: chief, calendar: office}
people:
  anna: {name: Anna, email: anna@example.com, team: north, calendar: always, manager: chief}
  bilal: {name: Bilal, email: bilal@example.com, team: north, calendar: always, weight: 3}
  carla: {name: Carla, email: carla@example.com, team: south, calendar: office, skills: ["language:es"]}
  chief: {name: Chief, email: chief@example.com, calendar: office}
queues:
  north-waits: {owner: chief, calendar: always, teams: [north]}
  triage: {owner: chief, calendar: always}
last_queue: triage
accounts:
  acme: {owner: carla, domains: [acme.example]}
rules:
  - id: account
    when: {account: {known: true}}
    to: [account_owner, team: south, queue: triage]
  - id: north
    when: {traits.country: [SE, NO]}
    to: [team: north, queue: north-waits]
  - id: big
    when: {score: {at_least: 150}, grade: [A1, A2]}
    to: [team: north, team: south, queue: triage]
sla:
  - id: standard
    clocks:
      assign: {target: 15m}
      accept: {target: 30m, warn: [20m]}
      first_touch: {target: 1h}
      qualify: {target: 24h}
      stage_age: {target: 160h}
recycle:
  max_cycles: 3
  reasons:
    no_budget: {recycle: 90d}
"""


def linted(text: str, holiday_dates: HolidayDates | None = None) -> Policy | list[ConfigFinding]:
    """Lint a policy text under the file name `policy.yaml`."""
    return lint(parse(text, file="policy.yaml"), version="v1", holiday_dates=holiday_dates)


def policy_of(text: str = SMALL) -> Policy:
    """Return the policy of a text that has no faults."""
    found = linted(text)
    assert isinstance(found, Policy), found
    return found


def default_text() -> str:
    """Return the policy that ships."""
    return files("services.routing.defaults").joinpath("policy.yaml").read_text(encoding="utf-8")
