"""Routing on a real database beside a small model of it, through whatever may happen to leads."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.routing.domain.lifecycle import Actor, HandoffClosed, IllegalMove
from services.routing.domain.sla import PauseRefused
from services.routing.usecases.change_person import change_person
from services.routing.usecases.pause_clock import pause_clock
from services.routing.usecases.receive_snapshots import Message
from services.routing.usecases.take_feedback import take_feedback
from shared.db.database import Database
from shared.db.pool import create_pool
from tests.integration.routing.desk_support import a_snapshot, merged, unmerged
from tests.integration.routing.machine_beside_model import BesideModel
from tests.integration.routing.machine_support import (
    ARGUMENTS,
    OUT_OF_ROTATION_SECONDS,
    REPS,
    command_of,
    look,
)
from tests.support.routing_model import HELD, LEGAL, ModelLead, ModelSnapshot

LEADS = tuple(f"ld_{name}" for name in "abcdef")
SALES = (
    "accept",
    "accept",
    "contact",
    "contact",
    "qualify",
    "qualify",
    "win",
    "lose",
    "reject",
    "recycle",
    "hand_back",
    "reassign",
    "disqualify",
)
BY_CRM = ("accept", "contact", "qualify", "win", "lose", "reject", "recycle", "disqualify")
NEXT = {
    "assigned": ("accept", ""), "accepted": ("contact", ""), "working": ("qualify", "qualified"),
    "opportunity": ("win", ""),
}  # fmt: skip
EVERYWHERE = {
    *HELD, "qualified", "recycled", "won", "disqualified", "warned accept", "breached accept",
    "warned assign", "breached assign", "escalated accept", "reassign", "out_of_rotation",
    "crm: changed", "crm: illegal",
}  # fmt: skip
"""States, and what clocks and the CRM say."""
SECONDS = (1, 1, 30, 59, 60, 61, 120, 239, 300, 361, 700, 3600, 90_000)

WHO = st.sampled_from(REPS)
LEAD = st.sampled_from(LEADS)
PICK = st.integers(0, 99)
ANY = st.data()


def an_act(lead: ModelLead, pick: int, acts: Sequence[str]) -> str:
    """Return one of the acts: three times of four one that is possible, if any is."""
    possible = [act for act in acts if lead.state in LEGAL[act]]
    chosen = possible if possible and pick % 4 else acts
    return chosen[pick % len(chosen)]


class Machine(BesideModel):
    """Each rule is done to routing and to its model; then both must agree."""

    def choose(self, pick: int) -> str | None:
        """Return the id of one of the open hand-offs."""
        ids = sorted(self.held)
        return ids[pick % len(ids)] if ids else None

    def lead(self, pick: int) -> str:
        """Return the id of a lead: mostly one that is known."""
        ids = sorted(self.model.leads) if pick % 8 else LEADS
        return ids[pick % len(ids)] if ids else LEADS[0]

    # What happens

    @initialize()
    def three_leads_come(self) -> None:
        for lead in LEADS[:3]:
            self.scoring_says(lead, "e", 0, again=False)

    @rule(
        lead=LEAD, level=st.sampled_from("eeeeh--x"), stale=st.sampled_from([0, 0, 0, 1]), again=st.booleans()
    )
    def scoring_says(self, lead: str, level: str, stale: int, again: bool) -> None:
        self.revision += 1
        known = self.model.leads.get(lead)
        cycle = max((known.cycle if known else 1) - stale, 1)
        said = ModelSnapshot(cycle, level == "e", level in "eh", level == "x")
        told = a_snapshot(
            lead, self.revision, cycle=cycle, enters=said.enters, holds=said.holds,
            do_not_contact=said.do_not_contact,
        )  # fmt: skip
        self.receive(told, again=again)
        self.model.snapshot(lead, self.revision, said)
        self.agree()

    @rule(one=PICK, other=PICK, again=st.booleans())
    def scoring_merges(self, one: int, other: int, again: bool) -> None:
        loser, survivor = self.lead(one), self.lead(other)
        if loser == survivor or len(self.model.redirects) > 2:
            return
        self.receive(merged(loser, survivor), again=again)
        self.model.merge(loser, survivor, self.kept_by(self.model.survivor(survivor)))
        self.agree()

    @rule(pick=PICK, new=LEAD, goes=st.booleans(), again=st.booleans())
    def scoring_parts(self, pick: int, new: str, goes: bool, again: bool) -> None:
        lead = self.lead(pick)
        if self.model.survivor(lead) == new or len(self.model.split) > 2:
            return
        self.receive(unmerged(lead, new, new if goes else lead), again=again)
        self.model.unmerge(lead, new, new if goes else lead, self.kept_by(new))
        self.agree()

    def kept_by(self, lead: str) -> str | None:
        """Return what the lead is seen to hold: of two equal states either may stay."""
        seen = self.do(look(self.office)).get(lead)
        return (seen.handoff_id or seen.holder) if seen else None

    def receive(self, message: Message, *, again: bool) -> None:
        """Deliver a message, perhaps twice: a second router, or the first one restarted."""
        self.do(self.office.receive(message))
        if again:
            self.do(self.office.receive(message))

    @precondition(lambda self: self.held)
    @rule(pick=PICK, dice=PICK, who=WHO, again=st.booleans(), data=ANY)
    def sales_acts(self, pick: int, dice: int, who: str, again: bool, data: st.DataObject) -> None:
        handoff_id = self.choose(pick)
        assert handoff_id is not None
        act = an_act(self.held[handoff_id], dice, SALES)
        argument = data.draw(st.sampled_from(ARGUMENTS.get(act, ("",))))
        lead = self.held[handoff_id]
        verdict = self.model.act(lead, act, who, argument)
        assert self.acted(handoff_id, act, argument, who) == verdict
        if again and verdict == "changed" and act in ("accept", "reject", "hand_back", "win"):
            assert self.acted(handoff_id, act, argument, who) == "same"
        self.agree()

    def acted(self, handoff_id: str, act: str, argument: str, who: str) -> str:
        try:
            answer = self.do(self.office.act(handoff_id, command_of(act, argument), by=who))
        except IllegalMove:
            return "illegal"
        except HandoffClosed:
            return "closed"
        return "changed" if answer.changed else "same"

    @precondition(lambda self: self.held)
    @rule(pick=PICK, acts=st.integers(1, 4))
    def sales_does_its_job(self, pick: int, acts: int) -> None:
        handoff_id = self.choose(pick)
        assert handoff_id is not None
        lead = self.held[handoff_id]
        for _ in range(acts):
            if lead.handoff is not None and lead.handoff.id == handoff_id:
                act, argument = NEXT[lead.state]
                who = lead.handoff.person
                assert self.acted(handoff_id, act, argument, who) == self.model.act(lead, act, who, argument)
                self.agree()

    @precondition(lambda self: len(self.model.handoffs) > len(self.held))
    @rule(pick=PICK, who=WHO, data=ANY)
    def sales_acts_too_late(self, pick: int, who: str, data: st.DataObject) -> None:
        ended = sorted(self.model.handoffs.keys() - self.held.keys())
        handoff = self.model.handoffs[ended[pick % len(ended)]]
        did = [
            one
            for one in sorted(handoff.acts)
            if one[0] in ("accept", "contact", "win", "reject", "hand_back")
        ]
        act, by = data.draw(st.sampled_from([*did, ("accept", who), ("reject", who)]))
        expected = "same" if handoff.ended_by == (act, by) else "closed"
        assert self.acted(handoff.id, act, ARGUMENTS.get(act, ("",))[0], by) == expected
        self.agree()

    @precondition(lambda self: self.model.leads)
    @rule(pick=PICK, dice=PICK, who=st.sampled_from([None, *REPS]), again=st.booleans(), data=ANY)
    def the_crm_says(self, pick: int, dice: int, who: str | None, again: bool, data: st.DataObject) -> None:
        lead = self.lead(pick)
        known = self.model.leads.get(self.model.survivor(lead))
        if known is None:
            return
        act = an_act(known, dice, BY_CRM)
        argument = data.draw(st.sampled_from(ARGUMENTS.get(act, ("",))))
        expected = self.model.act(known, act, who or "crm", argument)
        self.model.parked += expected == "illegal"
        self.been[f"crm: {expected}"] += 1
        assert self.fed(lead, act, argument, who) == expected
        if again and expected != "illegal" and known.handoff is not None:
            assert self.fed(lead, act, argument, who) == "same"
        self.agree()

    def fed(self, lead: str, act: str, argument: str, who: str | None) -> str:
        async def feed() -> str:
            async with self.office.database.transaction() as tx:
                store = self.office.store_of(tx, self.office.now)
                actor = Actor("crm", "crm", who)
                taken = await take_feedback(store, lead, act, command_of(act, argument), actor, {"act": act})
            assert (taken.parked_id is not None) is bool(taken.why)
            return "illegal" if taken.parked_id else "changed" if taken.changed else "same"

        return self.do(feed())

    @precondition(lambda self: self.model.leads)
    @rule(pick=PICK, dice=PICK)
    def the_boss_acts_on_a_lead(self, pick: int, dice: int) -> None:
        lead = self.lead(pick)
        known = self.model.leads.get(self.model.survivor(lead))
        if known is None:
            return
        act = an_act(known, dice, ("reopen", "disqualify", "reassign", "recycle"))
        argument = ARGUMENTS.get(act, ("",))[0]
        expected = self.model.act(known, act, "boss", argument)
        try:
            changed = self.do(self.office.act_on_lead(lead, command_of(act, argument))).changed
            assert expected == ("changed" if changed else "same")
        except IllegalMove:
            assert expected == "illegal"
        self.agree()

    @precondition(lambda self: self.held)
    @rule(pick=PICK, pausing=st.sampled_from([True, True, False]))
    def sales_pauses_or_resumes(self, pick: int, pausing: bool) -> None:
        handoff_id = self.choose(pick)
        assert handoff_id is not None
        clock = self.held[handoff_id].clock
        assert clock is not None
        possible = clock.pause("waiting", self.model.now) if pausing else True
        if not pausing:
            clock.resume(self.model.now)

        async def pause() -> None:
            async with self.office.database.transaction() as tx:
                store = self.office.store_of(tx, self.office.now)
                await pause_clock(store, handoff_id, "waiting" if pausing else None)

        try:
            self.do(pause())
            assert possible
        except PauseRefused:
            assert not possible
        self.agree()

    @rule(who=WHO, online=st.sampled_from([True, True, False]))
    def somebody_comes_or_goes(self, who: str, online: bool) -> None:
        self.online[who] = online

        async def change() -> None:
            async with self.office.database.transaction() as tx:
                store = self.office.store_of(tx, self.office.now)
                await change_person(store, who, {"online": self.online[who]})

        self.do(change())
        self.agree()

    # Time

    @rule(seconds=st.sampled_from(SECONDS), seen=st.booleans())
    def time_passes(self, seconds: int, seen: bool) -> None:
        self.model.now = self.office.now = self.office.now + timedelta(seconds=seconds)
        if seen:
            self.the_timers_look(twice=False)

    @rule(looks=st.integers(0, 2))
    def it_is_the_very_instant(self, looks: int) -> None:
        outages = self.model.outages
        clocks = [lead.clock for lead in self.model.leads.values() if lead.clock is not None]
        ahead = [due for clock in clocks for due, *_ in clock.steps(outages) if due > self.model.now]
        if ahead:
            self.model.now = self.office.now = min(ahead)
        if looks:
            self.the_timers_look(twice=looks > 1)

    @precondition(lambda self: not self.model.outages)
    @rule(seconds=st.sampled_from([30, 61, 200, 400, 1000, 4000]))
    def we_are_away(self, seconds: int) -> None:
        self.do(self.office.timers.beat(self.model.now))
        began = self.model.now
        self.time_passes(seconds, seen=False)
        self.do(self.office.timers.beat(self.model.now))
        if seconds > 60:
            self.model.outages.append((began, self.model.now))
        self.do(self.forget_the_heartbeat())

    async def forget_the_heartbeat(self) -> None:
        """Time that nobody sees pass here is no outage: a timer would go on beating in it."""
        async with self.office.database.connection() as connection:
            await connection.execute("DELETE FROM routing.heartbeat")

    def the_timers_look(self, twice: bool) -> None:
        self.do(self.office.timers.turn(self.office.now))
        if twice:
            self.do(self.office.timers.turn(self.office.now))
        self.model.turn()
        for who in self.model.silent:
            self.out_until[who] = self.model.now + timedelta(seconds=OUT_OF_ROTATION_SECONDS)
        self.model.silent.clear()
        self.agree(after_a_turn=True)


# The same histories at every run. To chase a failure, add Phase.shrink: that takes minutes on a database.
SETTINGS = settings(
    max_examples=30, stateful_step_count=40, deadline=None, derandomize=True, print_blob=True,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip


def test_routing_and_its_model_agree_whatever_happens(module_database_url: str) -> None:
    async def open_database() -> Database:
        return Database(await create_pool(module_database_url, service="routing", max_size=3), "routing")

    been: Counter[str] = Counter()
    with asyncio.Runner() as runner:
        database = runner.run(open_database())

        class Here(Machine):
            def __init__(self) -> None:
                super().__init__(runner, database, been)

        try:
            run_state_machine_as_test(Here, settings=SETTINGS)
        finally:
            runner.run(database.pool.close())
    assert been.keys() >= EVERYWHERE, "what a machine never comes to, it does not test"
