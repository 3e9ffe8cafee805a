"""What 50 rules cost beside reading the activity's JSON, over a mixed stream of activities and leads.

25 fit rules and 25 signals of the shapes that models use, compiled; and the tree that they came from.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from benchmarks.figures import Figure, Series
from services.scoring.adapters.bots import bot_verdict
from services.scoring.bootstrap import DEFAULT_MODEL
from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import CompiledModel, compile_model
from services.scoring.domain.conditions import Facts, evaluate, normalised
from services.scoring.domain.model import Model
from services.scoring.domain.signals import signals_of
from services.scoring.usecases.publish_model import read_model
from services.scoring.usecases.read_activity import read_activity
from shared.contracts.activity import ActivityRecorded, Context, Kind
from shared.ids import event_id

RULES = 25
EVENTS = 1_000
PASSES = 10
GOAL = 2.0
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36"
PATHS = ("/", "/pricing", "/product/tour", "/en/blog/one", "/docs/start", "/contact", "/careers/sales")
# What comes in: kind, names, share in percent. Half of the tracks are none of the model's business.
STREAM: tuple[tuple[Kind, tuple[str, ...], int], ...] = (
    ("page", ("Page", "Home", ""), 45),
    ("track", ("Product Added", "Signed In", "Checkout Started", "Demo Requested", "email_clicked"), 20),
    ("track", ("Plan Compared", "Video Played", "Scrolled", "Search Performed", "Widget Opened"), 20),
    ("identify", ("",), 8),
    ("form", ("demo", "newsletter"), 5),
    ("screen", ("Home",), 2),
)
LEADS: tuple[Mapping[str, Any], ...] = (
    {"title": "VP Sales", "seniority": "vp", "department": "sales", "country": "DE", "employees": 420,
     "company_size": "large", "email_kind": "company", "industry": "Software", "company": "Acme"},
    {"title": "Student", "seniority": "student", "country": "FR", "email_kind": "free"},
    {"email_kind": "company", "company": "Example", "employees": 12, "country": "us"},
    {"seniority": "director", "department": "it", "employees": 5200, "industry": "Insurance",
     "email_kind": "company", "company": "Big", "country": "GB", "academic_email": False,
     "email_domain": "big.example"},
    {},
)  # fmt: skip


def stream(count: int) -> list[bytes]:
    """Return activities as they lie on the topic."""
    draw, at = random.Random(3), datetime.now(UTC)
    shares = [share for _, _, share in STREAM]
    made = []
    for number, (kind, names, _) in enumerate(draw.choices(STREAM, shares, k=count)):
        activity = ActivityRecorded(
            event_id=event_id("bench", str(number)),
            source="bench",
            message_id=str(number),
            kind=kind,
            name=draw.choice(names),
            occurred_at=at,
            received_at=at,
            body_hash=f"{number:064x}",
            anonymous_id=f"anon-{draw.randrange(500)}",
            properties=_properties(draw, kind),
            context=Context(path=draw.choice(PATHS), user_agent=AGENT),
        )
        made.append(msgspec.json.encode(activity))
    return made


def _properties(draw: random.Random, kind: Kind) -> dict[str, Any]:
    if kind == "form":
        return {"form": draw.choice(("contact", "newsletter")), "message": "Please call me about prices."}
    if kind == "track":
        return {"plan": draw.choice(("starter", "team")), "seats": draw.randrange(500), "yearly": True}
    return {}


def rules(rounds: int) -> Sequence[Figure]:
    """Fifty compiled rules against `orjson.loads` of the same activities, and against their tree."""
    model = _fifty()
    compiled = compile_model(model)
    raw = stream(EVENTS)
    pairs = _pairs(raw, compiled)
    calls = [lambda: _parse(raw), lambda: _judge(compiled, pairs), lambda: _walk(model, pairs)]
    took = [_microseconds(calls) for _ in range(rounds)]
    parse, judge, walk = (Series.of(values) for values in zip(*took, strict=True))
    ratio = judge.over(parse)
    return [
        Figure(
            part="rules",
            work="25 fit rules and 25 signals, a mixed stream",
            measured=f"{judge.text()} us an activity",
            reference=f"orjson.loads of it: {parse.text()} us",
            ratio=ratio.text(),
            goal=f"<= {GOAL:.0f}",
            met=ratio.median <= GOAL,
        ),
        Figure(
            part="rules",
            work="the same rules, generated code",
            measured=f"{judge.text()} us an activity",
            reference=f"the interpreted tree: {walk.text()} us",
            ratio=walk.over(judge).text(",.0f"),
            goal="-",
        ),
    ]


def _fifty() -> Model:
    default = read_model(DEFAULT_MODEL.read_text("utf-8"), file="model.yaml")
    return replace(
        default, fit_rules=(default.fit_rules * RULES)[:RULES], signals=(default.signals * RULES)[:RULES]
    )


def _pairs(raw: Sequence[bytes], compiled: CompiledModel) -> list[tuple[Activity, Facts]]:
    decode = msgspec.json.Decoder(ActivityRecorded).decode
    facts = [normalised(lead) for lead in LEADS]
    read = [read_activity(decode(value), compiled, bot_verdict).activity for value in raw]
    return [(activity, facts[number % len(facts)]) for number, activity in enumerate(read)]


def _parse(raw: Sequence[bytes]) -> None:
    for value in raw:
        orjson.loads(value)


def _judge(compiled: CompiledModel, pairs: Sequence[tuple[Activity, Facts]]) -> None:
    fit, signals = compiled.fit, compiled.signals
    for activity, facts in pairs:
        fit(facts)
        signals(activity)


def _walk(model: Model, pairs: Sequence[tuple[Activity, Facts]]) -> None:
    for activity, facts in pairs:
        for rule in model.fit_rules:
            evaluate(rule.when, facts)
        signals_of(model, activity)


def _microseconds(calls: Sequence[Callable[[], None]]) -> list[float]:
    """Return the CPU time of one activity in each, the best of alternating passes: noise only ever adds."""
    best = [float("inf")] * len(calls)
    for _ in range(PASSES):
        for at, call in enumerate(calls):
            began = time.thread_time()
            call()
            best[at] = min(best[at], time.thread_time() - began)
    return [seconds / EVENTS * 1e6 for seconds in best]
