"""`leadline explain`: the lines that make a score, and the decision that chose a salesperson."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from leadline.cli.client import ApiClient, connect
from leadline.cli.decision_text import decision_text
from leadline.cli.exit_codes import CHECK_FAILED, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import plain, print_json
from leadline.console import names_of

app = group()

Lead = Annotated[str, typer.Argument(help="Lead id, its beginning, or the e-mail address.")]


@app.command("score")
def score(
    lead: Lead,
    as_of: Annotated[str | None, typer.Option(help="At this instant (ISO 8601) instead of now.")] = None,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Say why a lead has its score: every line, and their sum."""
    with connect(url, key, data_dir) as leadline:
        found = leadline.get(f"/v1/leads/{leadline.lead_id(lead)}/score", as_of=as_of)
    if as_json:
        print_json(found)
        return
    for line in score_text(found):
        print(line)


@app.command("rep")
def rep(
    lead: Lead,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Say why a lead went to its salesperson: the rule path, and why each other candidate lost."""
    with connect(url, key, data_dir) as leadline:
        decision = _last_decision(leadline, leadline.lead_id(lead))
        names = {} if as_json else names_of(leadline.get("/v1/people"))
    if as_json:
        print_json(decision)
        return
    for line in decision_text(decision, names):
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


def _last_decision(leadline: ApiClient, lead_id: str) -> Any:
    decisions = leadline.get(f"/v1/lifecycle/{lead_id}")["decisions"]
    if not decisions:
        raise CommandFailed(
            "nothing was decided for this lead yet", CHECK_FAILED, f"leadline explain score {lead_id}"
        )
    return leadline.get(f"/v1/decisions/{decisions[-1]['id']}")


def _points(milli_points: int) -> str:
    return f"{milli_points / 1000:8.3f}"
