"""The generated functions give what the interpreters give, on any model and any facts."""

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import compile_model
from services.scoring.domain.conditions import AllOf, AnyOf, Condition, Not, Test, evaluate, normalised
from services.scoring.domain.model import FitRule, Model
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
