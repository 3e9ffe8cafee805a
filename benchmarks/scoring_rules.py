"""What 50 rules cost beside reading the activity's JSON: `python -m benchmarks.scoring_rules`.

25 fit rules and 25 signals of the shapes that models use, compiled; the best of several rounds counts.
"""

import timeit
from collections.abc import Callable
from dataclasses import replace

import msgspec
import orjson

from benchmarks.activities import visitors
from services.scoring.adapters.bots import bot_verdict
from services.scoring.bootstrap import DEFAULT_MODEL
from services.scoring.domain.compile import compile_model
from services.scoring.domain.conditions import normalised
from services.scoring.usecases.publish_model import read_model
from services.scoring.usecases.read_activity import read_activity
from shared.contracts.activity import ActivityRecorded

RULES = 25
CALLS = 5_000
TRAITS = {
    "title": "VP Sales", "seniority": "vp", "department": "sales", "country": "DE", "employees": 420,
    "company_size": "large", "email_kind": "company", "industry": "Software", "company": "Acme",
}  # fmt: skip


def main() -> None:
    default = read_model(DEFAULT_MODEL.read_text("utf-8"), file="model.yaml")
    rules = (default.fit_rules * RULES)[:RULES]
    signals = (default.signals * RULES)[:RULES]
    compiled = compile_model(replace(default, fit_rules=rules, signals=signals))
    raw = visitors(1)[0]
    activity = read_activity(msgspec.json.decode(raw, type=ActivityRecorded), compiled, bot_verdict).activity
    facts = normalised(TRAITS)
    parse = _microseconds(lambda: orjson.loads(raw))
    judge = _microseconds(lambda: (compiled.fit(facts), compiled.signals(activity)))
    print(
        f"orjson.loads of {len(raw)} bytes {parse:.1f} us   {len(rules) + len(signals)} rules {judge:.1f} us"
    )
    print(f"rules take {judge / parse:.2f} times as long as orjson.loads")


def _microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=CALLS, repeat=9)) / CALLS * 1e6


if __name__ == "__main__":
    main()
