"""One lead on one page: who it is, where it stands, who holds it, what runs, what happened last."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from leadline.cli.output import plain
from leadline.console import NO_NAMES, Names

Part = Mapping[str, Any]

MOST_ACTIVITIES = 8
MOST_MOVES = 6
MOST_HANDOFFS = 5


def lead_text(found: Part, names: Names = NO_NAMES) -> list[str]:
    """Return the overview of a lead as lines of text; `names` of people by their ids."""
    scoring, routing = found.get("scoring") or {}, found.get("routing") or {}
    facts = [*_who(scoring), *_stands(routing, names), *_scores(scoring)]
    width = max((len(name) for name, _ in facts), default=0)
    lines = [str(found["lead_id"]), *(f"  {name:<{width}}  {value}" for name, value in facts)]
    clocks = [clock for clock in routing.get("clocks") or [] if clock["state"] == "running"]
    lines += _section("clocks that run", [_clock(clock, names) for clock in clocks], len(clocks))
    handoffs = routing.get("handoffs") or []
    newest = sorted(handoffs, key=lambda one: one["assigned_at"], reverse=True)[:MOST_HANDOFFS]
    lines += _section("hand-offs, newest first", [_handoff(one, names) for one in newest], len(handoffs))
    moves = routing.get("transitions") or []
    last = list(reversed(moves[-MOST_MOVES:]))
    lines += _section("moves, newest first", [_move(move) for move in last], len(moves))
    timeline = scoring.get("timeline") or []
    recent = [_activity(one) for one in timeline[:MOST_ACTIVITIES]]
    lines += _section("activity, newest first", recent, len(timeline))
    prefix = str(found["lead_id"])[:11]
    lines += ["", f"More: leadline explain score {prefix}, leadline explain rep {prefix}"]
    return [*lines, "Everything there is: --json"]


def _who(scoring: Part) -> Iterable[tuple[str, str]]:
    traits = scoring.get("traits") or {}
    name = " ".join(str(traits[part]) for part in ("first_name", "last_name") if traits.get(part))
    about = [traits.get(part) for part in ("title", "company", "country")]
    told = ", ".join(str(part) for part in (name, *about) if part)
    yield "who", told or "nobody known yet"
    for kind, values in (scoring.get("identities") or {}).items():
        shown = ", ".join(map(str, values[:3]))
        yield _words(kind), shown + (f" and {len(values) - 3} more" if len(values) > 3 else "")
    if scoring.get("first_seen_at"):
        yield "seen", f"{_time(scoring['first_seen_at'])} to {_time(scoring.get('last_seen_at'))}"


def _stands(routing: Part, names: Names) -> Iterable[tuple[str, str]]:
    if not routing:
        yield "state", "not known to routing yet"
        return
    since = f" since {_time(routing['since'])}" if routing.get("since") else ""
    yield "state", f"{routing.get('state')}{since}, cycle {routing.get('cycle')}"
    if routing.get("holder"):
        yield "holder", _name(routing["holder"], names)
    elif routing.get("queue"):
        yield "holder", f"nobody; waits in queue {routing['queue']}"
    else:
        yield "holder", "nobody"
    if routing.get("cool_down_until"):
        yield "cools down", f"until {_time(routing['cool_down_until'])}"
    if routing.get("rejected_by"):
        yield "rejected by", ", ".join(_name(person, names) for person in routing["rejected_by"])
    if routing.get("do_not_contact"):
        yield "do not contact", "yes"
    for parked in routing.get("parked") or []:
        yield "parked", plain(parked.get("reason") or parked.get("code") or "yes")


def _scores(scoring: Part) -> Iterable[tuple[str, str]]:
    if "fit" not in scoring:
        return
    since = f" since cycle {scoring['cycle']} opened" if (scoring.get("cycle") or 1) > 1 else ""
    level = "over the threshold" if scoring.get("enters") else "below the threshold"
    fit, engagement = scoring["fit"] / 1000, scoring["engagement"] / 1000
    yield "score", f"{fit:g} fit, {engagement:g} engagement{since}: {scoring['grade']}, {level}"
    if scoring.get("needs_data"):
        yield "needs data", "required traits are missing"


def _section(title: str, lines: list[str], total: int) -> list[str]:
    if not lines:
        return []
    more = f" ({len(lines)} of {total})" if total > len(lines) else ""
    return ["", f"{title}{more}", *(f"  {line}" for line in lines)]


def _clock(clock: Part, names: Names) -> str:
    whose = f" of {_name(clock['person_id'], names)}" if clock.get("person_id") else ""
    left = clock.get("seconds_left")
    when = "" if left is None else f", {_span(left)} left" if left >= 0 else f", {_span(-left)} over"
    paused = f", paused ({_words(clock['paused'])})" if clock.get("paused") else ""
    return f"{_words(clock['kind'])}{whose}: due {_time(clock['due_at'])}{when}{paused}"


def _handoff(handoff: Part, names: Names) -> str:
    steps = [f"assigned {_time(handoff['assigned_at'])}"]
    for step in ("accepted", "contacted"):
        at = handoff.get(f"{step}_at")
        steps += [f"{step} {_time(at)}"] if at else []
    if handoff.get("stage"):
        steps.append(f"stage {handoff['stage']}")
    if handoff.get("closed_at"):
        reason = f" ({_words(handoff['reason'])})" if handoff.get("reason") else ""
        steps.append(f"{_words(handoff.get('outcome') or 'closed')} {_time(handoff['closed_at'])}{reason}")
    return f"{_name(handoff['person_id'], names)}, cycle {handoff['cycle']}: {', '.join(steps)}"


def _move(move: Part) -> str:
    reason = f" ({_words(move['reason'])})" if move.get("reason") else ""
    return f"{_time(move['at'])}  {move['from_state']} -> {move['to_state']}{reason}"


def _activity(one: Part) -> str:
    signals = ", ".join(_words(signal) for signal in one.get("signals") or [])
    bot = " (a bot's: does not count)" if one.get("bot") else ""
    text = f"{_time(one['occurred_at'])}  {one['kind']} {one.get('name') or ''}".rstrip()
    return text + (f" [{signals}]" if signals else "") + bot


def _name(person_id: object, names: Names) -> str:
    return names.get(str(person_id), str(person_id))


def _span(seconds: float) -> str:
    whole = round(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def _time(instant: object) -> str:
    if not instant:
        return "-"
    return datetime.fromisoformat(str(instant)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _words(name: object) -> str:
    return str(name).replace("_", " ")
