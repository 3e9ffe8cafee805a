"""Guards of scoring: one activity for each event id, whichever body comes first and however often."""

from tests.mutants.mutant import Edit, Mutant

RECORD = "services/scoring/usecases/record_activity.py"
TABLES = "migrations/versions/0004_scoring.py"
CHECKS = "tests/integration/scoring/test_record_activity.py"

KNOWN = "    known = await stores.timeline.known(list(lowest))\n    fresh"
LOWER = """\
    return known is None or (activity.occurred_at, activity.body_hash) < (known.occurred_at, known.body_hash)
"""
# What finds out that another batch has stored the event since it was looked for.
ONE_ROW_EACH = ",\n    CONSTRAINT pk_timeline PRIMARY KEY (event_id)\n"

MUTANTS = (
    Mutant(
        "no upsert on event ids",
        "An activity that is in the timeline already is not recorded, counted and told again.",
        [
            Edit(RECORD, KNOWN, "    known: dict[str, Known] = {}\n    fresh"),
            Edit(TABLES, ONE_ROW_EACH, "\n"),
        ],
        f"{CHECKS}::test_an_event_that_comes_twice_counts_once",
        r"\('visit', 2\)",
    ),
    Mutant(
        "the last body of an event id wins",
        "Of two bodies under one event id the lower counts, whichever came first.",
        [Edit(RECORD, LOWER, "    return True\n")],
        f"{CHECKS}::test_the_lower_body_of_one_event_id_wins_in_either_order",
        "'Tour'",
    ),
    Mutant(
        "no lock of identities",
        "Whoever records activity holds the identities that it names, so that what it reads stays true.",
        [
            Edit(
                "services/scoring/adapters/postgres_identities.py",
                "ON CONFLICT (identity) DO UPDATE SET created_at = i.created_at WHERE false\n",
                "ON CONFLICT (identity) DO NOTHING\n",
            )
        ],
        "tests/integration/scoring/test_rare_histories.py"
        "::test_a_batch_waits_for_whoever_is_at_work_on_one_of_its_identities",
        "it read what another batch was about to change",
    ),
    Mutant(
        "bodies stored meanwhile go unnoticed",
        "Another body that another batch stores between look and insert makes this batch begin anew.",
        [Edit(TABLES, ONE_ROW_EACH, "\n")],
        "tests/integration/scoring/test_rare_histories.py"
        "::test_two_bodies_of_one_event_at_the_same_time_leave_no_stale_count",
        "DID NOT RAISE .*ConcurrentChange",
    ),
)  # fmt: skip
