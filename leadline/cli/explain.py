"""`leadline explain`: the lines that make a score, and the decision that chose a salesperson."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from leadline.cli.client import ApiClient, connect
from leadline.cli.exit_codes import CHECK_FAILED, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import AsJson, Key, Url
from leadline.cli.output import describe, plain, print_json

app = group()

Lead = Annotated[str, typer.Argument(help="Lead id, or the e-mail address.")]


@app.command("score")
def score(
    lead: Lead,
    as_of: Annotated[str | None, typer.Option(help="At this instant (ISO 8601) instead of now.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say why a lead has its score: every line, and their sum."""
    with connect(url, key) as leadline:
        found = leadline.get(f"/v1/leads/{leadline.lead_id(lead)}/score", as_of=as_of)
    if as_json:
        print_json(found)
        return
    for line in score_text(found):
        print(line)


@app.command("rep")
def rep(lead: Lead, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Say why a lead went to its salesperson: the rule path, and why each other candidate lost."""
    with connect(url, key) as leadline:
        decision = _last_decision(leadline, leadline.lead_id(lead))
    if as_json:
        print_json(decision)
        return
    for line in decision_text(decision):
        print(line)


def score_text(score: Mapping[str, Any]) -> list[str]:
    """Return a score as text: for each dimension its lines, which sum to its points."""
    grade, model = plain(score.get("grade")), plain(score.get("model_version"))
    lines = [f"grade {grade} by model {model} as of {score['as_of']}"]
    for dimension in ("fit", "engagement"):
        lines.append("")
        lines.append(f"{_points(score[dimension])}  {dimension}")
        lines += [
            f"{_points(line['points'])}    {_line_text(line)}"
            for line in score["lines"]
            if line["dimension"] == dimension
        ]
    level = score.get("level_reason") or ("over the threshold" if score.get("enters") else "")
    if score.get("enters"):
        lines += ["", f"qualifies: {plain(level).replace('_', ' ')}"]
    elif score.get("missing"):
        lines += ["", f"would qualify, but these are missing: {', '.join(score['missing'])}"]
    return lines


def _line_text(line: Mapping[str, Any]) -> str:
    name = line.get("label") or line["rule"]
    if line.get("status") == "unknown":
        return f"{name} (unknown: the trait is missing)"
    inputs = ", ".join(f"{key}={plain(value)}" for key, value in (line.get("inputs") or {}).items())
    return f"{name} ({inputs})" if inputs else str(name)


def decision_text(decision: Mapping[str, Any]) -> list[str]:
    """Return a decision record as text: what was chosen and why, then the whole record."""
    candidates: Sequence[Mapping[str, Any]] = decision.get("candidates") or ()
    rest = {
        name: value for name, value in decision.items() if name not in ("candidates", "id", "decision_id")
    }
    lines = [f"decision {decision.get('decision_id') or decision.get('id')}", *describe(rest, 2)]
    if candidates:
        lines.append("  candidates")
    for candidate in candidates:
        name = candidate.get("name") or candidate.get("person_id") or candidate.get("id")
        verdict = (
            candidate.get("reason") or candidate.get("lost_because") or candidate.get("verdict") or "chosen"
        )
        lines.append(f"    {name}: {plain(verdict).replace('_', ' ')}")
    return lines


def _last_decision(leadline: ApiClient, lead_id: str) -> Any:
    handoffs = list(leadline.pages("/v1/handoffs", lead_id=lead_id))
    if not handoffs:
        raise CommandFailed(
            "this lead was never handed to anybody", CHECK_FAILED, f"leadline explain score {lead_id}"
        )
    last = max(handoffs, key=lambda handoff: (handoff["cycle"], handoff["seq"]))
    return leadline.get(f"/v1/decisions/{last['decision_id']}")


def _points(milli_points: int) -> str:
    return f"{milli_points / 1000:8.3f}"
