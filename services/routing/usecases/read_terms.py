"""The `sla` and `recycle` parts of a policy: clocks, ladders, pauses, reasons."""

from collections.abc import Collection
from typing import Any, cast, get_args

from services.routing.domain.policy import (
    CalendarOf,
    ClockKind,
    ClockPolicy,
    PauseRule,
    Reason,
    Recipient,
    RecyclePolicy,
    Rung,
    RungAction,
    SlaPolicy,
)
from services.routing.usecases.policy_reader import PolicyReader
from services.routing.usecases.read_rules import ALWAYS, read_condition
from shared.config_file import Path

CLOCKS: tuple[ClockKind, ...] = ("assign", "accept", "first_touch", "qualify", "stage_age")
_SLA = ("id", "when", "max_reassigns", "out_of_rotation", "clocks")
_CLOCK = ("target", "warn", "ladder", "calendar", "pauses")
_RECYCLE = ("max_cycles", "lost_cool_down", "stages", "closer_team", "reasons")
_REASON = ("label", "recycle", "disqualify", "do_not_contact")
_MAX_WARNINGS = 20


def read_sla(reader: PolicyReader, value: Any, calendars: Collection[str]) -> tuple[SlaPolicy, ...]:
    """Return the SLA policies; the last one is the default that gives the others what they do not say."""
    policies: list[SlaPolicy] = []
    entries = reader.items(value, ("sla",))
    for path, item in entries:
        entry = reader.mapping(item, path, _SLA)
        out = entry.get("out_of_rotation", "24h")
        policies.append(
            SlaPolicy(
                reader.text(entry.get("id"), (*path, "id"), f"sla-{len(policies) + 1}"),
                read_condition(reader, entry.get("when"), (*path, "when")),
                _clocks(reader, entry.get("clocks"), (*path, "clocks"), calendars),
                reader.count(entry.get("max_reassigns"), (*path, "max_reassigns"), low=0, high=20, default=2)
                or 0,
                reader.seconds(out, (*path, "out_of_rotation")),
            )
        )
    if not policies:
        reader.fault(("sla",), "there is no SLA policy", "add one without `when` and with all five clocks")
        return ()
    last, path = policies[-1], entries[-1][0]
    if last.when != ALWAYS:
        reader.fault((*path, "when"), "the last SLA policy must match every lead", "remove its `when`")
    for kind in CLOCKS:
        if kind not in last.clocks:
            message = f"the last SLA policy has no `{kind}` clock"
            reader.fault(
                (*path, "clocks"), message, f"add `{kind}: {{target: ...}}`: nothing waits unclocked"
            )
    for policy, (at, _) in zip(policies[:-1], entries, strict=False):
        if policy.when == ALWAYS:
            reader.fault(at, f"what follows {policy.id!r} is never used", "give it a `when`, or move it last")
    return tuple(
        SlaPolicy(p.id, p.when, {**last.clocks, **p.clocks}, p.max_reassigns, p.out_of_rotation_seconds)
        for p in policies
    )


def _clocks(
    reader: PolicyReader, value: Any, path: Path, calendars: Collection[str]
) -> dict[ClockKind, ClockPolicy]:
    return {
        cast(ClockKind, kind): _clock(reader, cast(ClockKind, kind), item, (*path, kind), calendars)
        for kind, item in reader.mapping(value, path, CLOCKS).items()
    }


def _clock(
    reader: PolicyReader, kind: ClockKind, value: Any, path: Path, calendars: Collection[str]
) -> ClockPolicy:
    entry = reader.mapping(value, path, _CLOCK)
    calendar = reader.text(entry.get("calendar"), (*path, "calendar"), "rep")
    named = calendar not in ("rep", "team", "always")
    if named:
        reader.reference(calendar, (*path, "calendar"), calendars, "calendar")
    business = calendar != "always"
    target = reader.seconds(entry.get("target"), (*path, "target"), business=business)
    if target <= 0:
        reader.fault((*path, "target"), f"the {kind} clock has no target", "write for instance target: 30m")
    warnings = sorted(
        _warning(reader, item, at, target, business)
        for at, item in reader.items(entry.get("warn"), (*path, "warn"))[:_MAX_WARNINGS]
    )
    return ClockPolicy(
        kind,
        target,
        tuple(warnings),
        _ladder(reader, entry.get("ladder"), (*path, "ladder"), business),
        cast(CalendarOf, "named" if named else calendar),
        calendar if named else "",
        _pauses(reader, entry.get("pauses"), (*path, "pauses")),
    )


def _warning(reader: PolicyReader, value: Any, path: Path, target: int, business: bool) -> int:
    seconds = reader.seconds(value, path, business=business)
    if not 0 < seconds < target:
        message = f"the warning at {value} does not come before the target"
        reader.fault(path, message, "warn after more than nothing and less than the target")
    return seconds


def _ladder(reader: PolicyReader, value: Any, path: Path, business: bool) -> tuple[Rung, ...]:
    rungs: list[Rung] = []
    for at, item in reader.items(value, path):
        entry = reader.mapping(item, at, ("after", "tell", "do"))
        after = reader.seconds(entry.get("after", "0s"), (*at, "after"), business=business)
        tells = reader.choice(entry.get("tell"), (*at, "tell"), get_args(Recipient), "manager")
        action = reader.choice(entry.get("do"), (*at, "do"), get_args(RungAction), "notify")
        rungs.append(Rung(after, cast(Recipient, tells), cast(RungAction, action)))
    return tuple(sorted(rungs, key=lambda rung: rung.after_seconds))


def _pauses(reader: PolicyReader, value: Any, path: Path) -> tuple[PauseRule, ...]:
    rules = reader.mapping(value, path)
    return tuple(PauseRule(name, reader.seconds(limit, (*path, name))) for name, limit in rules.items())


def read_recycle(reader: PolicyReader, value: Any, teams: Collection[str]) -> RecyclePolicy:
    """Return reasons, cool-downs and the cycle budget."""
    path: Path = ("recycle",)
    entry = reader.mapping(value, path, _RECYCLE)
    reasons = {
        name: _reason(reader, name, item, at)
        for name, at, item in reader.entries(entry.get("reasons"), (*path, "reasons"), _REASON)
    }
    if not reasons:
        fix = "add at least one below `reasons`, say no_budget: {recycle: 90d}"
        reader.fault((*path, "reasons"), "there is no reason to reject a lead for", fix)
    lost = entry.get("lost_cool_down")
    closer = entry.get("closer_team")
    stages = reader.texts(entry.get("stages"), (*path, "stages")) or ("unqualified", "qualified")
    if stages[0] != "unqualified" or "qualified" not in stages:
        fix = "write stages: [unqualified, qualified, ...]"
        reader.fault((*path, "stages"), "stages begin with `unqualified` (SRL), then `qualified` (SQL)", fix)
    return RecyclePolicy(
        reasons,
        reader.count(entry.get("max_cycles"), (*path, "max_cycles"), low=1, high=100, default=3) or 3,
        reader.seconds(lost, (*path, "lost_cool_down")) if lost is not None else None,
        stages,
        reader.reference(closer, (*path, "closer_team"), teams, "team") if closer is not None else None,
    )


def _reason(reader: PolicyReader, name: str, entry: dict[str, Any], path: Path) -> Reason:
    out = reader.flag(entry.get("disqualify"), (*path, "disqualify"))
    no_contact = reader.flag(entry.get("do_not_contact"), (*path, "do_not_contact"))
    cool_down = 0
    if "recycle" in entry:
        cool_down = reader.seconds(entry["recycle"], (*path, "recycle"))
    if out and "recycle" in entry:
        reader.fault(path, f"reason {name!r} both recycles and disqualifies", "keep one of the two")
    elif not out and cool_down <= 0:
        fix = "say `recycle: 90d`, or `disqualify: true`"
        reader.fault(path, f"reason {name!r} has no cool-down", fix)
    if no_contact and not out:
        reader.fault(path, f"reason {name!r} forbids contact but recycles", "write disqualify: true")
    label = reader.text(entry.get("label"), (*path, "label"), name.replace("_", " "))
    return Reason(name, label, "disqualify" if out else "recycle", cool_down, no_contact)
