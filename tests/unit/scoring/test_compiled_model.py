"""The generated functions give what the interpreters give, on any model and any facts."""

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import compile_model
from services.scoring.domain.conditions import AllOf, AnyOf, Condition, Not, Test, evaluate, normalised
from services.scoring.domain.model import FitRule, Model, Signal
from services.scoring.domain.signals import signals_of
from tests.support import scoring_strategies as some
from tests.unit.scoring.test_engagement_and_fit import SMALL


@settings(max_examples=60, deadline=None)
@given(some.models(), st.lists(some.traits, max_size=6))
def test_compiled_fit_rules_equal_the_interpreted_tree(model: Model, cases: list[dict[str, Any]]) -> None:
    fit = compile_model(model).fit
    for case in cases:
        facts = normalised(case)
        assert fit(facts) == tuple(evaluate(rule.when, facts) for rule in model.fit_rules)


@settings(max_examples=40, deadline=None)
@given(some.models(), st.lists(some.activities(), max_size=8))
def test_compiled_signals_equal_the_interpreted_matchers(model: Model, cases: list[Activity]) -> None:
    found = compile_model(model).signals
    for activity in cases:
        assert found(activity) == signals_of(model, activity)


# Names that are whole, beginnings of others, both, or told by nobody; kinds and sources that overlap.
PATTERNS = ("demo", "demo*", "demo requested", "demo request*", "page*", "*", "unsubscribed", "d*")
TOLD = (
    "demo",
    "Demo_Requested",
    "demo-request",
    "DEMO requested again",
    "page",
    "",
    "Unsubscribed",
    "other",
    "demo*",
)
KINDS = ("page", "track", "screen", "form")
SEEN_PATHS = ("*/pricing", "*pricing", "*", "*/", "/", "/en", "*/en/pricing", "*/Pricing/", "/blog/one")


@st.composite
def dispatched(draw: st.DrawFn) -> Signal:
    """Return a signal whose kinds, names, paths and sources often overlap those of others."""
    where = Test("plan", "is", "team") if draw(st.integers(0, 2)) == 0 else None
    return Signal(
        id=f"s{draw(st.integers(0, 99))}",
        label="",
        points=1,
        half_life_days=None,
        kinds=draw(st.lists(st.sampled_from(KINDS[:3]), max_size=2, unique=True).map(tuple)),
        names=draw(st.lists(st.sampled_from(PATTERNS), max_size=3, unique=True).map(tuple)),
        paths=draw(st.lists(st.sampled_from(SEEN_PATHS), max_size=2, unique=True).map(tuple)),
        sources=draw(st.lists(st.sampled_from(["shop", "blog"]), max_size=1).map(tuple)),
        where=where,
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(dispatched(), max_size=6),
    st.lists(
        st.builds(
            dataclasses.replace,
            some.activities(),
            kind=st.sampled_from(KINDS),
            name=st.sampled_from(TOLD),
            path=st.none()
            | st.sampled_from(["", "/", "/pricing", "/en/Pricing", "/pricing-2", "/blog/one/two", "//"]),
            source=st.sampled_from(["shop", "blog", ""]),
            properties=st.sampled_from([{}, {"plan": "Team"}, {"plan": ["solo", "team"]}, {"plan": 3}]),
        ),
        max_size=8,
    ),
)
def test_the_signals_of_each_kind_and_name_are_those_that_match(
    signals: list[Signal], cases: list[Activity]
) -> None:
    model = dataclasses.replace(SMALL, signals=tuple(signals))
    found = compile_model(model).signals
    # Twice, since what kind and name decide is remembered.
    for activity in [*cases, *cases]:
        assert found(activity) == signals_of(model, activity)


@settings(max_examples=100, deadline=None)
@given(st.lists(some.conditions, min_size=1, max_size=4), some.traits)
def test_rules_that_ask_the_same_of_a_fact_answer_each_for_itself(
    conditions: list[Condition], case: dict[str, Any]
) -> None:
    doubled = [*conditions, *(Not(condition) for condition in conditions), *conditions]
    rules = tuple(FitRule(f"r{at}", "", when, 1) for at, when in enumerate(doubled))
    facts = normalised(case)
    fit = compile_model(dataclasses.replace(SMALL, fit_rules=rules)).fit
    assert fit(facts) == tuple(evaluate(rule.when, facts) for rule in rules)


def test_text_of_a_model_never_becomes_source() -> None:
    evil = '"); __import__("os").abort() #\n'
    rule = FitRule(evil, evil, AllOf((Test(evil, "is", evil), Not(Test(evil, "contains", evil)))), 1)
    compiled = compile_model(dataclasses.replace(SMALL, fit_rules=(rule,), name=evil, version=evil))
    assert "import" not in compiled.source
    assert compiled.fit({evil: "x"}) == (False,)


def test_what_is_missing_is_unknown_by_kleene() -> None:
    yes, no, unknown = Test("a", "is", 1), Test("a", "is", 2), Test("b", "is", 1)
    facts = {"a": 1}
    table: dict[Condition, bool | None] = {
        AllOf((yes, unknown)): None,
        AllOf((unknown, no)): False,
        AnyOf((unknown, yes)): True,
        AnyOf((no, unknown)): None,
        Not(unknown): None,
        Not(no): True,
        Test("b", "known", False): True,
    }
    for condition, truth in table.items():
        assert evaluate(condition, facts) is truth


def test_a_fact_of_another_type_is_unknown() -> None:
    assert evaluate(Test("employees", "at_least", 50), {"employees": "many"}) is None
    assert evaluate(Test("vip", "is", True), {"vip": 1}) is None
    assert evaluate(Test("tags", "is", "vip"), {"tags": ("new", "vip")}) is True
