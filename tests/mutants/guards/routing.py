"""Guards of routing: the lead's lock and what is looked at again under it, snapshots, clocks, queues."""

from tests.mutants.mutant import Edit, Mutant

SNAPSHOTS = "services/routing/usecases/receive_snapshots.py"
FILES = "services/routing/adapters/lead_files.py"
FIRE = "services/routing/usecases/fire_clocks.py"
DRAIN = "services/routing/usecases/drain_queue.py"
HAND_OVER = "services/routing/usecases/hand_over_leads.py"
PEOPLE = "services/routing/adapters/people.py"
CHECKS = "tests/integration/routing/test_routing_guards.py"

LOCK = """ ORDER BY lead_id FOR UPDATE {'SKIP LOCKED' if skip else ''}","""
LOOKED_AGAIN = """\
    if len(files) != len(wanted) or set(await store.resolve(sorted(wanted))):
        raise LeadsMoved
"""

MUTANTS = (
    Mutant(
        "no comparison of snapshots",
        "A snapshot counts only if its (epoch, revision) is higher than that of the one we have.",
        [Edit(SNAPSHOTS, "(snapshot.epoch, snapshot.revision) <= (file.epoch, file.revision) or ", "")],
        "tests/integration/routing/test_routing_lifecycle.py"
        "::test_an_older_snapshot_never_replaces_a_newer_one",
        "nurturing",
    ),
    Mutant(
        "no lock of leads",
        "Whoever reads a lead in order to change it holds its lock.",
        [Edit(FILES, LOCK, """ ORDER BY lead_id",""")],
        f"{CHECKS}::test_an_act_waits_for_whoever_holds_the_lead_and_sees_what_they_did",
        "it read the lead while another transaction was at work on it",
    ),
    Mutant(
        "leads locked in any order",
        "Leads are locked in the order of their ids: two batches never wait for each other.",
        [Edit(FILES, LOCK, """ FOR UPDATE {'SKIP LOCKED' if skip else ''}",""")],
        f"{CHECKS}::test_leads_are_locked_in_the_order_of_their_ids",
        "ld_z is held by one who waits for ld_a",
    ),
    Mutant(
        "people taken out of rotation in any order",
        "People are locked in the order of their ids.",
        [Edit(PEOPLE, " ORDER BY person_id FOR UPDATE)\"", ")\"")],
        f"{CHECKS}::test_people_are_taken_out_of_rotation_in_the_order_of_their_ids",
        "bob is held by one who waits for ann",
    ),
    Mutant(
        "people locked twice",
        "Whoever is taken out of rotation is locked with the people who are decided about, not after them.",
        [Edit(HAND_OVER, "    named |= desk.out_of_rotation.keys()\n", "")],
        f"{CHECKS}::test_who_is_taken_out_of_rotation_is_locked_with_the_other_people",
        "cem is held by one who waits for bob",
    ),
    Mutant(
        "a queue put to rest under locks",
        "Who looks whether anybody of a queue's teams is free locks none of them.",
        [Edit(DRAIN, "terms.now, lock=False)", "terms.now)")],
        f"{CHECKS}::test_a_queue_goes_to_rest_without_waiting_for_teams_that_its_leads_do_not_ask_for",
        "assert not True",
    ),
    Mutant(
        "no unique index on open hand-offs",
        "The database itself refuses a lead's second open hand-off.",
        [
            Edit(
                "migrations/versions/0005_routing.py",
                "CREATE UNIQUE INDEX uq_handoff_open",
                "CREATE INDEX uq_handoff_open",
            )
        ],
        f"{CHECKS}::test_the_database_refuses_a_second_open_handoff_whoever_writes_it",
        "DID NOT RAISE .*UniqueViolationError",
    ),
    Mutant(
        "redirects are not followed",
        "A lead that was merged into another never acts again: what is told of it goes to the survivor.",
        [
            Edit(SNAPSHOTS, "gone = await store.resolve(sorted(named))", "gone: dict[str, str] = {}"),
            Edit(SNAPSHOTS, LOOKED_AGAIN, ""),
        ],
        "tests/integration/routing/test_routing_merges.py"
        "::test_a_merge_of_leads_nobody_knows_leaves_no_lead_behind",
        "a redirected id never acts",
    ),
    Mutant(
        "redirects are not looked at again",
        "A merge between the look for redirects and the lock is noticed, and the batch begins anew.",
        [Edit(SNAPSHOTS, LOOKED_AGAIN, "")],
        f"{CHECKS}::test_a_merge_between_the_look_and_the_lock_is_noticed",
        "DID NOT RAISE .*LeadsMoved",
    ),
    Mutant(
        "clocks fired as they were seen",
        "A clock is looked at again under its lead's lock: what an act has ended meanwhile does not fire.",
        [
            Edit(
                FIRE,
                'if file.clocks[clock.id].state == "running" and due is not None and due <= desk.now:',
                'if file.clocks[clock.id].state == "running" and due is not None:',
            )
        ],
        f"{CHECKS}::test_a_clock_that_an_act_stops_after_the_timers_look_does_not_fire",
        "the warning came after the accept",
    ),
    Mutant(
        "timers that wait for busy leads",
        "A lead that somebody holds is left for the next turn; the others fire at once.",
        [Edit(FIRE, "store.lock(lead_ids, skip=True)", "store.lock(lead_ids)")],
        f"{CHECKS}::test_a_lead_that_somebody_holds_does_not_keep_the_timer_from_the_others",
        r"assert \(True, ",
    ),
    Mutant(
        "outages count against the rep",
        "Acting rungs of clocks that overlap an outage of ours wait for the lost business time.",
        [
            Edit(FIRE, "sla.next_due(clock, desk.terms.outages)", "sla.next_due(clock)"),
            Edit(FIRE, "sla.fire(clock, desk.now, desk.terms.outages)", "sla.fire(clock, desk.now)"),
        ],
        "tests/integration/routing/test_routing_clocks.py"
        "::test_a_heartbeat_gap_is_an_outage_and_the_rep_is_not_punished_for_it",
        "an outage of ours counts against the rep",
    ),
    Mutant(
        "a wake lost to a running drain",
        "A drain sets a queue's next wake only if nobody woke it meanwhile.",
        [
            Edit(
                "services/routing/adapters/queues.py",
                "WHERE queue = $1 AND turn = $2 RETURNING queue",
                "WHERE queue = $1 AND $2::bigint IS NOT NULL RETURNING queue",
            )
        ],
        f"{CHECKS}::test_a_wake_during_a_drain_is_not_lost",
        "nobody looked at the queue again",
    ),
    Mutant(
        "answers that are not kept",
        "The same act by the same person again gets the answer of the first time.",
        [
            Edit(
                "services/routing/usecases/act_on_handoff.py",
                "Answer(handoff, desk, False, await store.said(handoff_id, act, actor.identity))",
                "Answer(handoff, desk, False)",
            )
        ],
        "tests/integration/routing/test_routing_http.py"
        "::test_the_second_click_gets_the_answer_of_the_first_whatever_came_between",
        r"assert \(200, b'",
    ),
)  # fmt: skip
