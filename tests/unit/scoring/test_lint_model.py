"""A model is linted with file, line and fix; the default model is a good one."""

from importlib.resources import files
from typing import Any

import pytest

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import compile_model
from services.scoring.domain.conditions import AllOf, Not, Test
from services.scoring.domain.features import with_features
from services.scoring.domain.model import Model
from services.scoring.domain.score import Score, score
from services.scoring.domain.signals import count_activities, signals_of
from services.scoring.usecases.lint_model import lint_model
from shared.config_file import ConfigFinding, parse
from tests.support.scoring_strategies import T0

GOOD = """\
version: 1
name: mine
fit:
  rules:
    - id: de
      label: Germany
      points: 12.5
      when: {all: [{trait: Country, in: [DE, AT]}, {not: {trait: employees, below: 10}}]}
engagement:
  groups:
    - {id: web, cap: 30}
  signals:
    - id: pricing
      points: 8
      half_life_days: 14
      cap_per_day: 16
      group: web
      frequency: {within_days: 7, steps: [{times: 3, bonus: 5}]}
      when: {kind: page, path: "*/pricing"}
bands:
  fit: {A: 75, B: 50, C: 25}
  engagement: {1: 70, 2: 40, 3: 15}
level:
  threshold: {fit_weight: 40, engagement_weight: 60, enters_at: 50, holds_at: 35}
"""


def _lint(text: str) -> Model | list[ConfigFinding]:
    return lint_model(parse(text, file="model.yaml"))


def _model(text: str) -> Model:
    found = _lint(text)
    assert isinstance(found, Model), found
    return found


def _findings(old: str, new: str) -> list[tuple[int, str]]:
    assert old in GOOD
    found = _lint(GOOD.replace(old, new, 1))
    assert isinstance(found, list), "expected findings"
    assert all(finding.file == "model.yaml" and finding.fix for finding in found)
    return [(finding.line, finding.path) for finding in found]


def test_a_model_is_read_into_values() -> None:
    model = _model(GOOD)
    assert model.fit_rules[0].points == 12_500
    assert model.fit_rules[0].when == AllOf(
        (Test("country", "in", frozenset({"de", "at"})), Not(Test("employees", "below", 10)))
    )
    signal = model.signals[0]
    assert (signal.points, signal.cap_per_day, signal.paths, signal.kinds) == (
        8_000,
        16_000,
        ("*/pricing",),
        ("page",),
    )
    assert model.engagement_bands.first == 70_000
    assert (model.level.upper, model.level.lower) == (50_000, 35_000)


def test_a_version_names_the_content() -> None:
    assert _model(GOOD).version == _model("# a comment\n" + GOOD).version
    assert _model(GOOD).version != _model(GOOD.replace("12.5", "12.6")).version


@pytest.mark.parametrize(
    ("old", "new", "line", "path"),
    [
        ("points: 12.5", "points: 12.5555", 7, "fit.rules.0.points"),
        ("points: 12.5", "points: many", 7, "fit.rules.0.points"),
        ("label: Germany", "lable: Germany", 6, "fit.rules.0.lable"),
        ("in: [DE, AT]", "in: [DE, 5]", 8, "fit.rules.0.when.all.0.in"),
        ("in: [DE, AT]", "inn: [DE]", 8, "fit.rules.0.when.all.0"),
        ("below: 10", "below: ten", 8, "fit.rules.0.when.all.1.not.below"),
        ("group: web", "group: wbe", 17, "engagement.signals.0.group"),
        ("half_life_days: 14", "half_life_days: 0", 15, "engagement.signals.0.half_life_days"),
        ("bonus: 5", "bonus: -5", 18, "engagement.signals.0.frequency.steps.0.bonus"),
        ("*/pricing", "pricing", 19, "engagement.signals.0.when.path.0"),
        ("kind: page", "kind: pages", 19, "engagement.signals.0.when.kind.0"),
        ("A: 75", "A: 45", 21, "bands.fit"),
        ("fit_weight: 40", "fit_weight: 30", 24, "level.threshold"),
        ("holds_at: 35", "holds_at: 55", 24, "level.threshold.holds_at"),
    ],
)  # fmt: skip
def test_a_fault_is_found_where_it_is(old: str, new: str, line: int, path: str) -> None:
    assert (line, path) in _findings(old, new)


def test_every_fault_is_found_at_once() -> None:
    found = _lint(GOOD.replace("12.5", "x").replace("half_life_days: 14", "half_life_days: x"))
    assert isinstance(found, list)
    assert len(found) == 2


@pytest.mark.parametrize("text", ["", "# later", "[]", "just text"])
def test_a_file_without_a_model_has_one_fault(text: str) -> None:
    found = _lint(text)
    assert isinstance(found, list)
    assert [finding.message for finding in found] == ["the file holds no model"]


@pytest.mark.parametrize("text", ["", "[]", "just text", "fit: 3\nlevel: []", "name: {}\nbands: {fit: []}"])
def test_what_is_no_model_at_all_is_a_finding_and_no_crash(text: str) -> None:
    assert isinstance(_lint(text), list)


def _default() -> Model:
    return _model(files("services.scoring").joinpath("defaults/model.yaml").read_text(encoding="utf-8"))


def _activity(kind: str, name: str = "", path: str | None = None, **properties: Any) -> Activity:
    return Activity("e", kind, name, T0, T0, "h", user_id="u", path=path, properties=properties)


@pytest.mark.parametrize(
    ("activity", "signals"),
    [
        (_activity("page", path="/en/pricing/teams"), {"pricing_page", "any_page"}),
        (_activity("page", path="/products/sofa"), {"product_page", "any_page"}),
        (_activity("page", path="/blogs/best-sleep"), {"blog", "any_page"}),
        (_activity("page", path="/careers"), {"job_seeker", "any_page"}),
        (_activity("page", path="/pricing-philosophy"), {"any_page"}),
        (_activity("track", "Demo Requested"), {"demo_request"}),
        (_activity("form", "website", message="We would like a Demo, please"), {"demo_form", "form_sent"}),
        (_activity("form", "website", form="request-a-quote"), {"quote_form", "form_sent"}),
        (_activity("form", "website", message="Hello"), {"form_sent"}),
        (_activity("track", "email_filled_on_popup"), {"newsletter"}),
        (_activity("track", "checkout_started"), {"checkout"}),
        (_activity("track", "checkout_completed"), {"order"}),
        (_activity("track", "Product Added"), {"cart"}),
        (_activity("track", "Trial Ending"), {"trial_end"}),
        (_activity("track", "Sample Requested"), {"sample_request"}),
        (_activity("track", "Something else"), set()),
    ],
)
def test_the_default_model_knows_what_b2b_visitors_do(activity: Activity, signals: set[str]) -> None:
    model = _default()
    assert set(signals_of(model, activity)) == signals
    assert set(compile_model(model).signals(activity)) == signals


def _default_score(traits: dict[str, Any], emails: list[str], *activities: Activity) -> Score:
    model = _default()
    counts = count_activities(model, activities, as_of=T0, cut=None)
    return score(counts, with_features(traits, emails, lambda _: "company"), model, as_of=T0)


def test_a_decision_maker_at_a_core_company_is_an_a() -> None:
    traits = {"title": "VP Operations", "employees": 300, "country": "Germany", "industry": "Software"}
    found = _default_score(traits, ["ada@acme.example"])
    assert (found.fit, found.grade) == (100_000, "A4")


def test_a_demo_request_enters_at_once_but_not_a_competitors() -> None:
    demo = _activity("track", "Demo Requested")
    assert _default_score({}, ["ada@acme.example"], demo).enters
    assert not _default_score({}, ["ada@rival.example"], demo).enters


def test_browsing_alone_never_enters() -> None:
    visits = [_activity("page", path="/blog/one") for _ in range(200)]
    found = _default_score({"title": "CEO", "employees": 300, "country": "DE"}, ["ada@acme.example"], *visits)
    assert not found.enters
