"""A decision record as text: who, why, the rule path, and why each other candidate lost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from leadline.cli.output import plain
from leadline.console import NO_NAMES, Names

# Shares are counted in thousand-millionths of a lead.
SHARE_UNIT = 1_000_000_000

METHODS = {
    "earliest_deadline": "the earliest due turn comes first, then the larger debt, then the id",
    "largest_shortfall": "who can take leads has changed, so the largest debt comes first, then the id",
}
POINTS = ("fit", "engagement", "score")


def decision_text(decision: Mapping[str, Any], names: Names = NO_NAMES) -> list[str]:
    """Return a decision record as lines of text; `names` of people by their ids."""
    person = decision.get("person_id")
    chosen = names.get(str(person), person) if person else f"queue {decision.get('queue')}"
    lines = [f"{chosen}: {decision['reason']}", "", "rules"]
    for step in decision["path"]:
        target = step.get("target") or {}
        place = f" -> {target['kind']} {target.get('id', '')}".rstrip() if target else ""
        lines.append(f"  {step['rule']}{place}: {_words(step['result'])}")
    lines += _candidates(decision, names)
    inputs = [f"{name}={_input(name, value)}" for name, value in (decision.get("inputs") or {}).items()]
    lines += ["", f"inputs: {', '.join(inputs)}"]
    return [*lines, f"policy {decision['policy_version']}, model {decision['model_version']}"]


def _candidates(decision: Mapping[str, Any], names: Names) -> list[str]:
    candidates = sorted(decision["candidates"], key=lambda found: bool(found.get("lost_because")))
    if not candidates:
        return []
    method = METHODS.get(str(decision.get("method")))
    lines = ["", "candidates" + (f" ({method})" if method else "")]
    winner = candidates[0] if not candidates[0].get("lost_because") else None
    for candidate in candidates:
        name = names.get(candidate["person_id"], candidate["person_id"])
        facts = [*(_turn(candidate) if method else ()), *_numbers(candidate)]
        lines.append(f"  {name}: {_verdict(candidate, winner, decision.get('method'))} ({', '.join(facts)})")
    return lines


def _verdict(candidate: Mapping[str, Any], winner: Mapping[str, Any] | None, method: object) -> str:
    lost = candidate.get("lost_because")
    if not lost:
        return "chosen"
    if lost != "not_their_turn" or winner is None or method not in METHODS:
        until = candidate.get("until")
        return _words(lost) + (f" until {_time(until)}" if until else "")
    if method == "earliest_deadline" and _debt(candidate) <= 0:
        return "not their turn, they have had their share"
    if method == "earliest_deadline" and _due(candidate) > _due(winner):
        return "not their turn, due later"
    if _debt(candidate) < _debt(winner):
        soon = "due as soon but " if method == "earliest_deadline" else ""
        return f"not their turn, {soon}owed less"
    return "not their turn, the same debt and the later id"


def _turn(candidate: Mapping[str, Any]) -> list[str]:
    debt, due = _debt(candidate), candidate.get("deadline")
    share = f"share {candidate.get('share', 0) / SHARE_UNIT:.3f}, had {candidate.get('assigned', 0)}"
    facts = [f"{share}: {'owed' if debt >= 0 else 'ahead by'} {abs(debt) / SHARE_UNIT:.3f}"]
    if due is not None and debt > 0:
        facts.append("due now" if due == 0 else f"due within {due} {'turn' if due == 1 else 'turns'}")
    return facts


def _numbers(candidate: Mapping[str, Any]) -> list[str]:
    shown = {"weight": candidate.get("weight", 1), **(candidate.get("numbers") or {})}
    shown.pop("until", None)
    return [f"{_words(name)} {plain(value)}" for name, value in shown.items()]


def _debt(candidate: Mapping[str, Any]) -> int:
    return int(candidate.get("share", 0)) - int(candidate.get("assigned", 0)) * SHARE_UNIT


def _due(candidate: Mapping[str, Any]) -> int:
    return int(candidate.get("deadline") or 0)


def _input(name: str, value: object) -> str:
    return f"{value / 1000:g}" if name in POINTS and isinstance(value, int) else plain(value)


def _time(instant: object) -> str:
    return datetime.fromisoformat(str(instant)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _words(name: object) -> str:
    return str(name).replace("_", " ")
