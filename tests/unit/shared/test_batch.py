"""Batch sizes and bisecting: every record exactly once, orders kept, positions contiguous."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.port import Fetched, Partition, Record
from shared.consumer.batch import AIM_SECONDS, GOAL_SECONDS, BatchSize, describe, halves, records_of
from tests.contracts.bus.harness import NOW


@st.composite
def batches(draw: st.DrawFn) -> list[Fetched]:
    """Parts of some partitions with gaps between the offsets, at least two records in all."""
    counts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4).filter(lambda found: sum(found) > 1))
    parts = []
    for number, count in enumerate(counts):
        place = Partition("t", number)
        start = draw(st.integers(0, 100))
        offsets = [start]
        for gap in draw(st.lists(st.integers(1, 4), min_size=count - 1, max_size=count - 1)):
            offsets.append(offsets[-1] + gap)
        position = start - draw(st.integers(0, min(start, 3)))
        records = tuple(Record(place, offset, "k", (), b"", NOW) for offset in offsets)
        parts.append(Fetched(place, position, offsets[-1] + 1, records))
    return parts


def apart(batch: list[Fetched]) -> list[Fetched]:
    """Bisect down to single records, in the order in which they would be handled."""
    if len(records_of(batch)) == 1:
        return batch
    first, second = halves(batch)
    return [*apart(first), *apart(second)]


@given(batches())
def test_taking_a_batch_apart_gives_every_record_once_and_in_order(batch: list[Fetched]) -> None:
    assert records_of(apart(batch)) == records_of(batch)


@given(batches())
def test_the_pieces_cover_the_positions_without_a_gap(batch: list[Fetched]) -> None:
    for part in batch:
        pieces = [piece for piece in apart(batch) if piece.partition == part.partition]
        assert pieces[0].position == part.position
        assert pieces[-1].next_position == part.next_position
        assert all(one.next_position == two.position for one, two in pairwise(pieces))


def test_a_slow_transaction_halves_the_next_and_quick_ones_grow_it_again() -> None:
    size = BatchSize(100, 200).after(GOAL_SECONDS * 2, 100)
    assert size.now == 50
    for _ in range(20):
        size = size.after(0.01, size.now)
    assert size.now == 200


def test_a_slow_but_small_batch_shrinks_from_what_was_tried_and_never_below_one() -> None:
    assert BatchSize(100, 200).after(9.0, 10).now == 5
    assert BatchSize(1, 200).after(9.0, 1).now == 1


def test_a_quick_batch_is_followed_by_as_many_as_the_aim_allows_at_most_twice_as_many() -> None:
    assert BatchSize(100, 2000).after(AIM_SECONDS / 20, 100).now == 200
    assert BatchSize(100, 2000).after(AIM_SECONDS / 1.25, 100).now == 125
    assert BatchSize(100, 2000).after(AIM_SECONDS / 1.001, 100).now == 101
    assert BatchSize(100, 2000).after((AIM_SECONDS + GOAL_SECONDS) / 2, 100).now == 100


def test_a_small_batch_grows_although_another_lane_fills_half_the_goal() -> None:
    size = BatchSize(50, 2000)
    for _ in range(12):
        size = size.after(GOAL_SECONDS / 2 + size.now * 50e-6, size.now)
    assert size.now == 2000


def test_a_quick_batch_that_was_not_full_says_nothing_about_larger_ones() -> None:
    assert BatchSize(100, 200).after(0.01, 3).now == 100


def test_a_fault_is_described_by_type_and_place_without_its_text() -> None:
    try:
        int("jane@example.com")
    except ValueError as fault:
        text = describe(fault)
    assert text.startswith("ValueError at ")
    assert "jane" not in text


def test_a_fault_that_another_one_caused_names_it_too() -> None:
    fault = ValueError()
    fault.__cause__ = KeyError("jane@example.com")
    text = describe(fault)
    assert text.endswith(" from KeyError")
