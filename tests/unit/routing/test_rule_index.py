"""Looking a rule up finds what trying one after the other finds, and reads the same fields."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.conditions import fields_read, holds
from services.routing.domain.policy import Condition, Rule
from services.routing.domain.rule_index import RuleIndex

FIELDS = ("grade", "traits.country", "traits.tags")
TEXTS = st.sampled_from(["a", "A", "b", "ß", "SS", "", "1", "true", "none"])
VALUES = TEXTS | st.sampled_from([1, 1.0, True])
COMPARISONS = st.builds(
    Condition,
    st.sampled_from(["is", "in", "contains", "known"]),
    st.sampled_from(FIELDS),
    st.lists(VALUES, min_size=1, max_size=3).map(tuple),
)
CONDITIONS = COMPARISONS | st.builds(
    lambda op, children: Condition(op, children=tuple(children)),
    st.sampled_from(["all", "any", "not"]),
    st.lists(COMPARISONS, min_size=1, max_size=2),
)
KNOWN = st.none() | VALUES | st.lists(st.none() | VALUES | st.lists(TEXTS, max_size=2), max_size=3)


@settings(max_examples=400, deadline=None)
@given(st.lists(CONDITIONS, max_size=8), st.dictionaries(st.sampled_from(FIELDS), KNOWN))
def test_the_index_finds_the_first_rule_that_holds(
    conditions: list[Condition], known: dict[str, object]
) -> None:
    rules = [Rule(f"r{number}", condition, ()) for number, condition in enumerate(conditions)]
    tried: set[str] = set()

    def trying(name: str) -> object:
        tried.add(name)
        return known.get(name)

    expected = next((n for n, rule in enumerate(rules) if holds(rule.when, trying)), len(rules))
    looked_up: list[str] = []

    def noting(name: str) -> object:
        looked_up.append(name)
        return known.get(name)

    assert RuleIndex(rules).first(known.get, noting) == expected
    assert set(looked_up) == tried
    assert tried <= set().union(*(fields_read(rule.when) for rule in rules))


def test_many_rules_about_one_field_are_one_look() -> None:
    rules = [Rule(f"r{n}", Condition("is", "traits.country", (f"c{n}",)), ()) for n in range(1000)]
    looks: list[str] = []

    def peek(name: str) -> object:
        looks.append(name)
        return "C700"

    assert RuleIndex(rules).first(peek, lambda _: None) == 700
    assert looks == ["traits.country"]
