"""Guards of the consumer: positions fenced and moved with the effects, dead letters beside them."""

from tests.mutants.mutant import Edit, Mutant

CONSUMER, POSITIONS = "shared/consumer/consumer.py", "shared/consumer/positions.py"
STOPS = "tests/integration/shared/consumer/test_consumer_stops.py"
ONE_COMMIT = (
    "tests/integration/shared/consumer/test_one_commit.py"
    "::test_a_connection_lost_after_any_commit_repeats_nothing_and_loses_nothing"
)  # fmt: skip

TOGETHER = """\
        async with self._database.transaction() as tx:
            moved = await advance(tx, self.group, batch, self._claimed)
            rejections = await self._handler(tx, records) if records else ()
            if rejections:
                await hold(tx, self.group, self._log.topics, rejections)
                await count_rejected(tx, self.group, _count(rejections))
"""
POSITION_FIRST = """\
        async with self._database.transaction() as before:
            moved = await advance(before, self.group, batch, self._claimed)
        async with self._database.transaction() as tx:
            rejections = await self._handler(tx, records) if records else ()
            if rejections:
                await hold(tx, self.group, self._log.topics, rejections)
                await count_rejected(tx, self.group, _count(rejections))
"""
POSITION_LAST = """\
        async with self._database.transaction() as tx:
            rejections = await self._handler(tx, records) if records else ()
            if rejections:
                await hold(tx, self.group, self._log.topics, rejections)
        async with self._database.transaction() as after:
            moved = await advance(after, self.group, batch, self._claimed)
            if rejections:
                await count_rejected(after, self.group, _count(rejections))
"""
LETTERS_LAST = """\
        async with self._database.transaction() as tx:
            moved = await advance(tx, self.group, batch, self._claimed)
            rejections = await self._handler(tx, records) if records else ()
        if rejections:
            async with self._database.transaction() as after:
                await hold(after, self.group, self._log.topics, rejections)
                await count_rejected(after, self.group, _count(rejections))
"""

MUTANTS = (
    Mutant(
        "position before the transaction",
        "The position moves in the transaction of the effects: moved before, a crash loses the batch.",
        [Edit(CONSUMER, TOGETHER, POSITION_FIRST)],
        f"{ONE_COMMIT}[first]",
        "each effect is there once",
    ),
    Mutant(
        "position after the transaction",
        "The position moves in the transaction of the effects: moved after, a crash repeats the batch.",
        [Edit(CONSUMER, TOGETHER, POSITION_LAST)],
        f"{ONE_COMMIT}[first]",
        "each effect is there once",
    ),
    Mutant(
        "dead letters after the transaction",
        "A message that is passed over is held in the same commit: else a crash loses what was accepted.",
        [Edit(CONSUMER, TOGETHER, LETTERS_LAST)],
        f"{ONE_COMMIT}[poison]",
        r"assert \[\] == \[",
    ),
    Mutant(
        "no contiguity check",
        "A batch counts only if it starts where the stored position stands.",
        [Edit(POSITIONS, " AND p.epoch = a.epoch AND p.next_offset = a.since", " AND p.epoch = a.epoch")],
        f"{ONE_COMMIT}[first]",
        "each effect is there once",
    ),
    Mutant(
        "no fence",
        "A consumer whose partitions were taken over moves nothing, be the position where it left it.",
        [
            Edit(
                POSITIONS,
                " AND p.epoch = a.epoch AND p.next_offset = a.since",
                " AND p.next_offset = a.since",
            )
        ],
        f"{STOPS}::test_a_former_owner_is_fenced",
        "DID NOT RAISE .*Fenced",
    ),
    Mutant(
        "a claim that fences nobody",
        "Taking partitions over raises their epoch.",
        [Edit(POSITIONS, "SET epoch = p.epoch + 1, updated_at", "SET epoch = p.epoch, updated_at")],
        f"{STOPS}::test_a_former_owner_is_fenced",
        "DID NOT RAISE .*Fenced",
    ),
    Mutant(
        "a transaction of two topics",
        "What two topics make a service lock is locked in two transactions: in one it would be out of order.",
        [Edit(CONSUMER, "in by_topic([part for part in fetched if part.partition in self._claimed]):",
              "in filter(None, [[part for part in fetched if part.partition in self._claimed]]):")],
        "tests/integration/shared/consumer/test_lanes.py::test_a_transaction_has_messages_of_one_topic",
        "a transaction of two topics",
    ),
    Mutant(
        "positions moved in any order",
        "Positions are locked in the order in which a take-over locks them: the two never wait in a ring.",
        [Edit(POSITIONS, " ORDER BY p.topic, p.partition FOR UPDATE OF p", " FOR UPDATE OF p")],
        f"{STOPS}::test_positions_are_moved_in_the_order_in_which_they_are_taken_over",
        "partition 1 is held by one who waits for partition 0",
    ),
    Mutant(
        "positions of any log",
        "A position is of one log: on another one the same offset is another message.",
        [
            Edit(
                POSITIONS,
                'if (row["cluster_id"], row["topic_id"]) != (',
                'if () and (row["cluster_id"], "") != (',
            )
        ],
        f"{STOPS}::test_a_position_of_another_log_stops_the_consumer",
        "DID NOT RAISE .*WrongLog",
    ),
    Mutant(
        "no stop after failures in a row",
        "A bad deploy must not drain a topic into the dead letters.",
        [Edit(CONSUMER, "if failed + 1 >= self._options.stop_after:", "if failed < 0:")],
        f"{STOPS}::test_a_handler_that_fails_on_everything_does_not_drain_the_topic",
        r"assert \d+ == \(4 - 1\)",
    ),
    Mutant(
        "old epochs are read",
        "After a restore what was told before it is told anew; the old messages are skipped.",
        [Edit(CONSUMER, "records_of(batch) if self._is_current(record)]", "records_of(batch)]")],
        f"{STOPS}::test_messages_of_an_older_epoch_are_skipped_except_activity",
        r"assert \[1, 2, 3\] == \[2, 3\]",
    ),
)  # fmt: skip
