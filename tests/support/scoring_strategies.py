"""Random models, traits, activities and links of few people, so that they meet often."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from services.scoring.domain.activity import Activity
from services.scoring.domain.conditions import AllOf, AnyOf, Condition, Not, Operator, Test
from services.scoring.domain.identity import Identity
from services.scoring.domain.model import (
    BandEdges,
    Bands,
    FitRule,
    Group,
    Level,
    Model,
    Required,
    Signal,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 60

TEXTS = ("de", "us", "vp", "ceo of sales", "director", "")
FACTS = ("country", "title", "employees", "vip")
NAMES = ("demo requested", "page viewed", "unsubscribed", "checkout started")
PATHS = ("/", "/pricing", "/en/pricing/teams", "/blog/one", "/pricingx")

instants = st.integers(0, DAYS * 24 * 60).map(lambda minutes: T0 + timedelta(minutes=minutes))
# Instants that collide with one another and with midnights, where ties and borders are decided.
coarse_instants = st.integers(0, DAYS * 4).map(lambda quarters: T0 + timedelta(hours=6 * quarters))
any_instant = instants | coarse_instants

_scalars = st.one_of(
    st.sampled_from(TEXTS), st.booleans(), st.integers(-5, 500), st.floats(allow_nan=True), st.none()
)
trait_values = st.one_of(_scalars, st.lists(_scalars, max_size=3))
traits = st.dictionaries(st.sampled_from(FACTS), trait_values, max_size=4)

_texts = st.sampled_from([text for text in TEXTS if text])
_numbers = st.one_of(st.integers(-5, 500), st.floats(-5, 500))


def _test(operator: Operator, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Condition]:
    return st.builds(Test, st.sampled_from(FACTS), st.just(operator), values)


_tests: st.SearchStrategy[Condition] = st.one_of(
    _test("is", st.one_of(_texts, _numbers, st.booleans())),
    _test("in", st.frozensets(_texts, min_size=1) | st.frozensets(_numbers, min_size=1)),
    _test("contains", _texts),
    _test("starts_with", _texts),
    _test("ends_with", _texts),
    _test("at_least", _numbers),
    _test("at_most", _numbers),
    _test("above", _numbers),
    _test("below", _numbers),
    _test("known", st.booleans()),
)


def _nodes(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.builds(AllOf, several) | st.builds(AnyOf, several) | st.builds(Not, inner)


conditions: st.SearchStrategy[Condition] = st.recursive(_tests, _nodes, max_leaves=8)


@st.composite
def signals(draw: st.DrawFn, number: int) -> Signal:
    """Return a random signal; bonuses have the sign of the points, as the linter asks."""
    points = draw(st.integers(-30_000, 40_000).filter(bool))
    sign = 1 if points > 0 else -1
    bonuses = sorted(draw(st.lists(st.integers(1, 20_000), min_size=2, max_size=2)))
    steps = ((2, sign * bonuses[0]), (5, sign * bonuses[1]))
    bands = draw(st.none() | st.builds(Bands, st.integers(1, 20), st.just(steps)))
    return Signal(
        id=f"s{number}",
        label=f"Signal {number}",
        points=points,
        half_life_days=draw(st.none() | st.integers(1, 40)),
        kinds=draw(st.sampled_from([(), ("page",), ("track", "page")])),
        names=draw(
            st.sampled_from([(), ("demo requested",), ("page*", "unsubscribed"), ("checkout started",)])
        ),
        paths=draw(st.sampled_from([(), ("/pricing",), ("*/pricing", "/blog")])),
        where=draw(st.none() | conditions) if draw(st.integers(0, 3)) == 0 else None,
        cap_per_day=draw(st.none() | st.integers(0, 60_000)),
        group=draw(st.sampled_from([None, "g0", "g1"])) if points > 0 else None,
        bands=bands,
        hand_raise=draw(st.integers(0, 5)) == 0,
    )


def _edges() -> st.SearchStrategy[BandEdges]:
    bounds = st.lists(st.integers(1_000, 100_000), min_size=3, max_size=3, unique=True)
    return bounds.map(lambda found: BandEdges(*sorted(found, reverse=True)))


@st.composite
def levels(draw: st.DrawFn) -> Level:
    """Return a random level with room for hysteresis."""
    days = draw(st.integers(1, 40))
    if draw(st.booleans()):
        weight = draw(st.integers(0, 100))
        lower, upper = sorted(draw(st.lists(st.integers(0, 100_000), min_size=2, max_size=2)))
        return Level("threshold", weight, 100 - weight, upper, lower, hand_raise_days=days)
    grades = st.sampled_from([letter + digit for letter in "ABCD" for digit in "1234"])
    enters = draw(st.frozensets(grades, max_size=4))
    holds = enters | draw(st.frozensets(grades, max_size=4))
    return Level("grades", enters_grades=enters, holds_grades=holds, hand_raise_days=days)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Return a random model with one to four signals."""
    rules = draw(st.lists(st.tuples(conditions, st.integers(-50_000, 60_000), st.integers(0, 9)), max_size=5))
    return Model(
        name="random",
        version="random@1",
        fit_rules=tuple(
            FitRule(f"r{at}", f"Rule {at}", when, points if rare else 0, disqualifies=not rare)
            for at, (when, points, rare) in enumerate(rules)
        ),
        signals=tuple(draw(signals(number)) for number in range(draw(st.integers(1, 4)))),
        groups=(
            Group("g0", "Group 0", draw(st.integers(0, 90_000))),
            Group("g1", "Group 1", draw(st.integers(0, 90_000))),
        ),
        fit_bands=draw(_edges()),
        engagement_bands=draw(_edges()),
        level=draw(levels()),
        required=draw(st.builds(Required, st.sampled_from([(), ("country",)]), st.integers(0, 100_000))),
    )


ANONYMOUS = ("a1", "a2", "a3")
USERS = ("u1", "u2", "u3")
EMAILS = ("ada@acme.example", "bob@acme.example", "info@acme.example")
identities = st.sampled_from(
    [Identity("anonymous", value) for value in ANONYMOUS]
    + [Identity("user", value) for value in USERS]
    + [Identity("email", value) for value in EMAILS]
)


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    """Return a random activity of one to three identities; event ids are few, so that bodies compete."""
    anonymous = draw(st.none() | st.sampled_from(ANONYMOUS))
    user = draw(st.none() | st.none() | st.sampled_from(USERS))
    email = draw(st.none() | st.none() | st.sampled_from(EMAILS))
    if not (anonymous or user or email):
        anonymous = ANONYMOUS[0]
    at = draw(any_instant)
    return Activity(
        event_id=f"{draw(st.integers(0, 40)):032x}",
        kind=draw(st.sampled_from(["page", "track", "alias"])),
        name=draw(st.sampled_from(NAMES)),
        occurred_at=at,
        received_at=at + timedelta(minutes=draw(st.integers(0, 300))),
        body_hash=draw(st.sampled_from(["a", "b", "c"])),
        anonymous_id=anonymous,
        user_id=user,
        email=email,
        previous_id=draw(st.none() | st.none() | st.sampled_from([*ANONYMOUS, *USERS])),
        path=draw(st.none() | st.sampled_from(PATHS)),
        properties=draw(st.just({}) | traits),
        traits=draw(st.just({}) | traits),
        bot=draw(st.integers(0, 9)) == 0,
    )


def timelines(most: int = 25) -> st.SearchStrategy[list[Activity]]:
    """Return lists of activities with distinct bodies."""
    return st.lists(activities(), min_size=1, max_size=most, unique_by=_body_key)


def _body_key(activity: Activity) -> tuple[str, datetime, str]:
    # One hash at one instant is one body.
    return activity.event_id, activity.occurred_at, activity.body_hash
