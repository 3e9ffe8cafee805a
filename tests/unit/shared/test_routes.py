"""Each path has the owner of the longest prefix that matches whole segments of it."""

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.routes import ROUTES, owner_of

SEGMENTS = st.sampled_from(
    sorted({part for prefix, _ in ROUTES for part in prefix.split("/")} | {"trackx", "x"})
)


@given(st.lists(SEGMENTS, max_size=5), st.sampled_from(["", "/"]))
def test_the_longest_matching_prefix_says_the_owner(segments: list[str], end: str) -> None:
    path = "/" + "/".join(segments) + end
    matching = [pair for pair in ROUTES if path == pair[0] or path.startswith(pair[0] + "/")]
    wanted = max(matching, key=lambda pair: len(pair[0]))[1] if matching else None
    assert owner_of(path) == wanted
