"""Guards of outbox, relay and feed, and of the answer that is given after the commit."""

from tests.mutants.mutant import Edit, Mutant

ROWS, RELAY, APPEND = "shared/outbox/rows.py", "shared/outbox/relay.py", "shared/outbox/append.py"
RELAY_CHECKS = "tests/integration/shared/outbox/test_relay.py"
WEB_CHECKS = "tests/integration/shared/test_web_on_postgres.py"

# An event written by a connection of its own is there whatever becomes of the transaction.
OWN_CONNECTION = """\
    import asyncpg

    inner = getattr(tx.connection, "_con", tx.connection)
    address, login = inner._addr, inner._params
    place = {"host": address[0], "port": address[1]} if isinstance(address, tuple) else {"host": address}
    own = await asyncpg.connect(**place, user=login.user, database=login.database)
    done: str = await own.execute(
"""
SEND_THEN_MARK = """\
            await self._bus.append([self._message(row, epoch) for row in rows])
            await self._mark(rows, epoch)
"""
MARK_THEN_SEND = """\
            await self._mark(rows, epoch)
            await self._bus.append([self._message(row, epoch) for row in rows])
"""
HEAD = """\
            UPDATE {tx.schema}.feed_head SET last_seq = last_seq + (SELECT count(*) FROM flagged)
            WHERE id = 1 AND EXISTS (SELECT FROM flagged)
            RETURNING last_seq - (SELECT count(*) FROM flagged) AS before
"""
HIGHEST = """\
            SELECT coalesce(max(feed_seq), 0) AS before FROM {tx.schema}.outbox
"""

AFTER_COMMIT = """\
    async with database.transaction() as tx:
        if ticket is not None and not await _claim(tx, ticket):
            return await _replay(tx, ticket)
        answer = await work(tx)
        if ticket is not None:
            await _store(tx, ticket, answer)
    return answer
"""
BEFORE_COMMIT = """\
    import asyncio

    answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        try:
            async with database.transaction() as tx:
                if ticket is not None and not await _claim(tx, ticket):
                    answered.set_result(await _replay(tx, ticket))
                    return
                answer = await work(tx)
                if ticket is not None:
                    await _store(tx, ticket, answer)
                answered.set_result(answer)
        except Exception as fault:
            if not answered.done():
                answered.set_exception(fault)

    answered.running = asyncio.create_task(run())
    return await answered
"""

MUTANTS = (
    Mutant(
        "cursor relay",
        "The relay takes unsent rows, never those beyond the highest id it has sent.",
        [
            Edit(
                ROWS,
                "(SELECT * FROM {database.schema}.outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1)",
                "(SELECT * FROM {database.schema}.outbox WHERE id > (SELECT coalesce(max(id), 0)"
                " FROM {database.schema}.outbox WHERE sent_at IS NOT NULL) ORDER BY id LIMIT $1)",
            )
        ],
        f"{RELAY_CHECKS}::test_a_transaction_that_commits_late_is_not_passed_over",
        r"assert \[b'2'\] == \[b'2', b'1'\]",
    ),
    Mutant(
        "marking before sending",
        "A row is marked when the bus has it: marked before, a crash in between loses the event.",
        [Edit(RELAY, SEND_THEN_MARK, MARK_THEN_SEND)],
        f"{RELAY_CHECKS}::test_a_crash_between_sending_and_marking_repeats_and_never_loses",
        r"assert \[b'1', b'2'\] == ",
    ),
    Mutant(
        "rows marked twice",
        "Only rows that are not sent yet are marked: a second marking would give them another number.",
        [
            Edit(
                ROWS,
                "WHERE id = ANY ($1::bigint[]) AND sent_at IS NULL ORDER BY id FOR UPDATE",
                "WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE",
            )
        ],
        f"{RELAY_CHECKS}::test_a_row_is_marked_once_even_when_two_mark_it_at_the_same_time",
        "== 10",
    ),
    Mutant(
        "marking without the lease",
        "A relay that lost its lease while it sent records nothing.",
        [Edit(RELAY, "            await self._lease.check(tx)\n", "")],
        f"{RELAY_CHECKS}::test_a_relay_whose_lease_ran_out_meanwhile_marks_nothing",
        "DID NOT RAISE .*LeaseLost",
    ),
    Mutant(
        "feed numbers without the head",
        "Numbers of the feed are drawn under the lock of its head: dense, and visible in their order.",
        [Edit(ROWS, HEAD, HIGHEST)],
        f"{RELAY_CHECKS}::test_numbers_of_the_feed_become_visible_in_order",
        "UniqueViolationError",
    ),
    Mutant(
        "outbox ids that repeat",
        "An event that is in the outbox already is not added again.",
        [
            Edit(APPEND, '" WITH ORDINALITY AS e (id, topic, type, key, time, payload, n) ORDER BY n"\n',
                 '" WITH ORDINALITY AS e (id, topic, type, key, time, payload, n) ORDER BY n",\n'),
            Edit(APPEND, '        " ON CONFLICT (event_id) DO NOTHING",\n', ""),
            Edit("shared/db/plumbing.py",
                 '        UniqueConstraint("event_id", name=conv("uq_outbox_event_id")),\n', ""),
        ],
        f"{RELAY_CHECKS}::test_an_id_that_is_there_already_is_left_as_it_is",
        r"b'2', b'2'",
    ),
    Mutant(
        "outbox outside the transaction",
        "An event is written by the transaction that it tells of: both are there or neither.",
        [
            Edit(APPEND, "    done: str = await tx.connection.execute(\n", OWN_CONNECTION),
            Edit(APPEND, "    tx.after_commit.append(", "    await own.close()\n    tx.after_commit.append("),
        ],
        "tests/integration/routing/test_routing_guards.py::test_an_act_that_is_undone_is_not_told",
        "told though it never was",
    ),
    Mutant(
        "answer before the commit",
        "Who acts is answered when the act is durable: a commit that fails is a 5xx.",
        [Edit("shared/web/idempotency.py", AFTER_COMMIT, BEFORE_COMMIT)],
        f"{WEB_CHECKS}::test_a_commit_that_fails_is_a_5xx_and_nothing_is_stored",
        "assert 201 == 500",
    ),
    Mutant(
        "idempotency keys that claim nothing",
        "Of two requests under one Idempotency-Key the second gets the answer of the first.",
        [
            Edit(
                "shared/web/idempotency.py",
                "if ticket is not None and not await _claim(tx, ticket):",
                "if ticket is not None and await _claim(tx, ticket) is None:",
            )
        ],
        f"{WEB_CHECKS}::test_of_concurrent_repetitions_one_works_and_all_get_its_answer",
        r"assert \{b'",
    ),
)  # fmt: skip
