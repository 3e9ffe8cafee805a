"""Guards of the bus: one log for all; in PostgreSQL offsets visible in order, nothing skipped unread."""

from tests.mutants.mutant import Edit, Mutant

SQL = "shared/bus/postgres.sql"
CHECKS = "tests/integration/shared/bus/test_postgres_bus_guards.py"

MUTANTS = (
    Mutant(
        "appends without the heads' locks",
        "An append holds its partitions' heads until its commit: offsets become visible in order.",
        [Edit(SQL, "        ORDER BY h.topic_no, h.partition FOR UPDATE\n    ) SELECT count(*) INTO v_locked",
              "        ORDER BY h.topic_no, h.partition\n    ) SELECT count(*) INTO v_locked")],
        f"{CHECKS}::test_an_append_goes_on_after_the_one_it_waited_for",
        "UniqueViolationError",
    ),
    Mutant(
        "heads locked as they are named",
        "Heads are locked in ascending order: two appends never wait for each other.",
        [Edit(SQL, "        ORDER BY h.topic_no, h.partition FOR UPDATE\n    ) SELECT count(*) INTO v_locked",
              "        ORDER BY array_position(p_partitions, h.partition) FOR UPDATE\n"
              "    ) SELECT count(*) INTO v_locked")],
        f"{CHECKS}::test_partitions_are_locked_in_ascending_order",
        "partition 3 is held by one who waits for partition 0",
    ),
    Mutant(
        "trimmed though unread",
        "A day is dropped only when every group has passed it.",
        [Edit(SQL, "            WHERE l.position <= last.o\n", "            WHERE false\n")],
        f"{CHECKS}::test_a_day_that_nobody_has_read_is_kept_and_reported",
        r"\[True\] == \[False\]",
    ),
    Mutant(
        "lost messages skipped in silence",
        "A reader that retention has overtaken hears of it instead of going on at the first kept message.",
        [Edit(SQL, "WHERE i.o < h.first_offset OR i.o > h.next_offset", "WHERE i.o > h.next_offset")],
        f"{CHECKS}::test_a_position_before_what_is_kept_is_an_error",
        "DID NOT RAISE .*OffsetOutOfRange",
    ),
    Mutant(
        "sent to another log",
        "All processes of an installation send to one log, whatever the settings of one of them say.",
        [Edit("shared/bus/agreed.py", "        if agreed != here:\n", "        if not agreed:\n")],
        "tests/integration/shared/bus/test_agreed_bus.py::test_the_first_append_decides_which_log_it_is",
        "DID NOT RAISE .*BusUnavailable",
    ),
)  # fmt: skip
