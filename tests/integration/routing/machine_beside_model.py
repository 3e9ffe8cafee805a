"""A state machine that holds routing on a real database and its model side by side, and compares them."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from shared.db.database import Database
from tests.integration.routing.desk_support import T0, Office
from tests.integration.routing.machine_support import (
    OPEN_CAP,
    REPS,
    TERMS,
    Seen,
    clear,
    listen,
    look,
    the_policy,
)
from tests.support.routing_model import HELD, Model, ModelHandoff, ModelLead

T = TypeVar("T")


class BesideModel(RuleBasedStateMachine):
    """After each rule `agree`: both are alike, and DESIGN's promises hold. `been`: what was seen at all."""

    def __init__(self, runner: asyncio.Runner, database: Database, been: Counter[str]) -> None:
        super().__init__()
        self.runner = runner
        self.been = been
        self.office = Office(database)
        self.do(clear(self.office))
        self.do(self.office.publish(the_policy()))
        self.model = Model(TERMS, T0)
        self.revision = 0
        self.online = dict.fromkeys(REPS, True)
        self.out_until = dict.fromkeys(REPS, T0)
        self.event = 0
        self.seen: dict[str, Seen] = {}

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def held(self) -> dict[str, ModelLead]:
        return {lead.handoff.id: lead for lead in self.model.leads.values() if lead.handoff is not None}

    # What must be so

    def free(self, who: str) -> bool:
        return self.online[who] and self.out_until[who] <= self.model.now

    def loads(self) -> Counter[str]:
        return Counter(lead.handoff.person for lead in self.model.leads.values() if lead.handoff is not None)

    def agree(self, *, after_a_turn: bool = False) -> None:
        """Compare; where a decision was due, take over whom it chose, if that one could be chosen."""
        before, self.seen = self.seen, self.do(look(self.office))
        assert self.seen.keys() == self.model.leads.keys()
        for lead_id, seen in self.seen.items():
            self.been[seen.state] += 1
            self.take_over(self.model.leads[lead_id], seen)
        for lead_id, seen in self.seen.items():
            self.compare(self.model.leads[lead_id], seen)
        held_before = Counter(one.holder for one in before.values() if one.state in HELD)
        self.nobody_is_idle(held_before, after_a_turn=after_a_turn)
        self.clocks_have_told()
        assert self.do(self.office.problems()) == []
        assert self.do(self.parked()) == self.model.parked

    def take_over(self, lead: ModelLead, seen: Seen) -> None:
        due = lead.state == "qualified" or (lead.state == "opportunity" and lead.excluded is not None)
        mine = lead.handoff.id if lead.handoff else None
        if due and seen.handoff_id != mine:
            assert seen.holder is not None
            assert seen.handoff_id is not None
            assert seen.handoff_id not in self.model.handoffs, "no hand-off is opened twice"
            assert self.model.may_get(lead, seen.holder), f"{lead} went to {seen.holder}"
            assert self.free(seen.holder)
            self.model.assigned(lead, ModelHandoff(seen.handoff_id, seen.holder, self.model.now))
        elif lead.state == "qualified" and lead.clock is None:
            self.model.start_clock(lead)

    def compare(self, lead: ModelLead, seen: Seen) -> None:
        clocks: tuple[tuple[str, datetime, datetime], ...] = ()
        if lead.clock is not None:
            clocks = ((lead.clock.kind, lead.clock.started_at, lead.clock.target_at()),)
        assert seen == Seen(
            lead.state, lead.cycle, lead.holder, "waiting" if lead.state == "qualified" else None,
            frozenset(lead.rejected_by), lead.handoff.id if lead.handoff else None, clocks,
        )  # fmt: skip

    def nobody_is_idle(self, held_before: Counter[str | None], *, after_a_turn: bool) -> None:
        """A lead waits only while nobody could get it: at once after a decision, all after a turn.

        A decision does not see yet that the very act which asked for it makes room on somebody's desk.
        """
        loads = self.loads()
        held_before = Counter() if after_a_turn else held_before
        for lead in self.model.leads.values():
            if lead.state == "qualified" and (lead.excluded is not None or after_a_turn):
                could = [
                    who for who in REPS
                    if self.free(who) and self.model.may_get(lead, who)
                    and max(loads[who], held_before[who]) < OPEN_CAP
                ]  # fmt: skip
                assert not could, f"{lead} waits although {could} could take it"
            if lead.excluded is not None:
                lead.excluded = None

    def clocks_have_told(self) -> None:
        self.event, told, _ = self.do(listen(self.office, self.event))
        assert told == Counter(self.model.told)
        self.been.update(f"{kind} {clock}" for kind, clock, *_ in self.model.told)
        self.been.update(action for _, _, _, _, action, _ in self.model.told)
        self.model.told.clear()

    async def parked(self) -> int:
        async with self.office.database.connection() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM routing.parked_command"))
