"""What a replay counts: every event in one column, and only what it changed."""

from typing import Any

from leadline.replay.post import Tally, Totals, count
from leadline.replay.run import settled, totals


def status(lag: int | None = 0, unsent: int = 0) -> dict[str, Any]:
    return {
        "services": {
            "ingest": {"outbox_unsent": 0, "activity": {"appended": 7}},
            "scoring": {
                "outbox_unsent": 0, "events": 5, "contactable_leads": 2, "lag": {"leadline.activity": lag},
            },
            "routing": {"outbox_unsent": unsent, "qualified_ever": 1, "handed_over_ever": 1, "lag": {}},
        }
    }  # fmt: skip


def test_accepted_and_quarantined_add_up_to_what_was_sent() -> None:
    tally = Tally()
    count(tally, [{}, {}, {}], {"accepted": 2, "quarantined": [{"code": "no_identity"}]})
    assert (tally.sent, tally.accepted, tally.quarantined) == (3, 2, {"no_identity": 1})


def test_only_what_came_since_is_counted() -> None:
    before = Totals(appended=4, events=4, leads=1, qualified=1, handed_over=0)
    gained = totals(status()["services"]).since(before)
    assert gained == Totals(appended=3, events=1, leads=1, qualified=0, handed_over=1)


def test_nothing_is_settled_while_something_lies_between_the_services() -> None:
    assert settled(status())
    assert not settled(status(lag=3))
    assert not settled(status(lag=None)), "a bus that cannot tell may hold anything"
    assert not settled(status(unsent=1))
