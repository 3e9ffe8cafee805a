"""Read a policy file into a Policy, or say with file, line and fix why it cannot be one."""

from collections.abc import Mapping

from services.routing.domain.policy import Account, Policy, Queue, Rule
from services.routing.usecases.policy_reader import PolicyReader, nearest
from services.routing.usecases.read_calendars import HolidayDates, read_calendars
from services.routing.usecases.read_people import (
    check_teams,
    read_accounts,
    read_people,
    read_queues,
    read_teams,
)
from services.routing.usecases.read_rules import read_rules
from services.routing.usecases.read_terms import read_recycle, read_sla
from shared.config_file import ConfigDocument, ConfigFinding

_TOP = (
    "calendars", "people", "teams", "accounts", "account_traits", "queues", "last_queue", "rules", "sla",
    "recycle",
)  # fmt: skip


def lint(
    document: ConfigDocument,
    *,
    version: str = "",
    holiday_dates: HolidayDates | None = None,
    tzdata_version: str = "",
) -> Policy | list[ConfigFinding]:
    """Return the policy, or every finding if at least one is an error.

    `holiday_dates` resolves countries into dates when a policy is pushed; without it (a lint by hand) the
    named countries are taken as they are, and the policy returned has only the dates written out.
    """
    reader = PolicyReader(document)
    if not isinstance(document.data, dict):
        reader.fault((), "the file holds no policy", f"start with: {', '.join(_TOP)}")
        return reader.findings
    top = reader.mapping(document.data, (), _TOP)
    calendars = read_calendars(reader, top.get("calendars"), version, holiday_dates, tzdata_version)
    teams = read_teams(reader, top.get("teams"), calendars)
    people = read_people(reader, top.get("people"), calendars, teams)
    check_teams(reader, teams, people)
    accounts = read_accounts(reader, top.get("accounts"), people)
    queues = read_queues(reader, top.get("queues"), calendars, teams, people)
    rules = read_rules(reader, top.get("rules"), {"team": teams, "person": people, "queue": queues})
    policy = Policy(
        version,
        calendars,
        people,
        teams,
        queues,
        _last_queue(reader, top.get("last_queue"), queues),
        rules,
        read_sla(reader, top.get("sla"), calendars),
        read_recycle(reader, top.get("recycle"), teams),
        accounts,
        reader.texts(top.get("account_traits"), ("account_traits",)) or ("company_domain", "email_domain"),
    )
    _check_account_first(reader, rules, accounts)
    errors = any(finding.severity == "error" for finding in reader.findings)
    return sorted(reader.findings, key=lambda f: (f.line, f.path)) if errors else policy


def _last_queue(reader: PolicyReader, value: object, queues: Mapping[str, Queue]) -> str:
    if value is None:
        fix = f"add `last_queue: {next(iter(queues))}`" if queues else "define a queue and name it last_queue"
        reader.fault(("last_queue",), "there is no last queue for leads that no rule matches", fix)
        return ""
    if value not in queues:
        reader.fault(("last_queue",), f"there is no queue {value!r}", nearest(value, queues))
    return str(value)


def _check_account_first(
    reader: PolicyReader, rules: tuple[Rule, ...], accounts: Mapping[str, Account]
) -> None:
    """Known accounts go to their owners before any territory: of the rules that ask people, that is first.

    Before it may stand rules that only put leads into a queue, such as those that lack data.
    """
    if not accounts:
        return
    asking = [at for at, rule in enumerate(rules) if any(t.kind != "queue" for t in rule.targets)]
    first = rules[asking[0]].targets if asking else ()
    if not any(target.kind == "account_owner" for target in first):
        reader.fault(
            ("rules", asking[0]) if asking else ("rules",),
            "there are accounts, but the first rule that asks people does not ask for their owner",
            "begin with a rule `when: {account: {known: true}}` and `to: [account_owner, ...]`",
        )
