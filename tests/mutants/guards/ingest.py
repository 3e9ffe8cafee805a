"""Guards of the doors: durable before 2xx, and one submission however often it is sent."""

from tests.mutants.mutant import Edit, Mutant

FORMS = "tests/integration/ingest/test_form_door.py"
TRACKING = "tests/integration/ingest/test_tracking_door.py"
INTAKE = "services/ingest/adapters/postgres_intake.py"

STORE = """\
        async with store.transaction() as intake:
            return await submit_form(prepared, intake, contact=contact, shape=shape)
"""
STORE_LATER = """\
        import asyncio
        settled = asyncio.get_running_loop().create_future()

        async def run() -> None:
            async with store.transaction() as intake:
                settled.set_result(await submit_form(prepared, intake, contact=contact, shape=shape))

        running = asyncio.create_task(run())
        running.add_done_callback(lambda task: task.exception())
        return await settled
"""

ONE_TRANSACTION = """\
        async with self._database.transaction() as tx:
            yield PostgresIntake(tx)
"""
TWO_TRANSACTIONS = """\
        async with self._database.transaction() as tx, self._database.transaction() as other:
            intake = PostgresIntake(tx)
            intake._other = other
            yield intake
"""

MUTANTS = (
    Mutant(
        "a form acknowledged before its commit",
        "A form is acknowledged when receipt and event are durable.",
        [Edit("services/ingest/usecases/submit_form.py", STORE, STORE_LATER)],
        f"{FORMS}::test_nothing_is_acknowledged_when_the_commit_fails",
        "assert 200 >= 500",
    ),
    Mutant(
        "a form's event outside its transaction",
        "Receipt and event of a form are one commit.",
        [
            Edit(INTAKE, ONE_TRANSACTION, TWO_TRANSACTIONS),
            Edit(INTAKE, "if await append(self._tx, events) == len(events):",
                 "if await append(self._other, events) == len(events):"),
        ],
        f"{FORMS}::test_nothing_is_acknowledged_when_the_commit_fails",
        r"assert \[Activ",
    ),
    Mutant(
        "tracking acknowledged before the append",
        "A batch is acknowledged when the bus has it.",
        [
            Edit("services/ingest/usecases/accept_messages.py", "        await log.append(batch.good)\n",
                 "        import asyncio\n\n"
                 "        task = asyncio.ensure_future(log.append(batch.good))\n"
                 "        task.add_done_callback(lambda done: done.exception())\n"),
        ],
        f"{TRACKING}::test_without_the_bus_the_answer_is_503_with_retry_after",
        "assert 200 == 503",
    ),
    Mutant(
        "no claim of a submission's key",
        "A form that is sent again, even twenty times at once, is one event.",
        [Edit(INTAKE, "WHERE held.claimed_at < excluded.claimed_at - $5::interval",
              "WHERE $5::interval IS NOT NULL")],
        f"{FORMS}::test_twenty_presses_of_the_button_are_one_event",
        "accepted",
    ),
    Mutant(
        "quarantine ids made anew",
        "What cannot be read is parked under an id of its content: the retry of a batch parks nothing twice.",
        [
            Edit("services/ingest/usecases/accept_messages.py", '        id=f"q_{identity[:32]}",\n',
                 '        id=f"q_{identity[:8]}{__import__(\'uuid\').uuid4().hex[:24]}",\n'),
        ],
        f"{TRACKING}::test_the_retry_of_a_batch_parks_nothing_twice",
        "assert 3 == 1",
    ),
    Mutant(
        "held items replayed without their lock",
        "A parked item is locked while it is replayed, so that it is published once.",
        [Edit(INTAKE, "= ANY($1::text[]) ORDER BY id FOR UPDATE\n", "= ANY($1::text[]) ORDER BY id\n")],
        "tests/integration/ingest/test_quarantine.py::test_a_replay_waits_for_whoever_acts_on_the_item",
        r"assert \(200, \[Activ",
    ),
)  # fmt: skip
