"""The use cases' `Store` on one open transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from services.routing.adapters import lead_files, people, queues
from services.routing.adapters.decision_rows import packed
from services.routing.adapters.policies import PolicyShelf, next_number, publish
from services.routing.adapters.rosters import load_roster
from services.routing.adapters.rows import insert
from services.routing.domain.decide import Roster
from services.routing.domain.lifecycle import Actor, Handoff
from services.routing.domain.policy import Policy
from services.routing.domain.sla import Clock
from services.routing.usecases.desk import Desk, Terms
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.person_row import PersonRow
from shared.contracts.topics import HANDOFFS
from shared.db.database import Transaction
from shared.ids import new_id
from shared.outbox.append import OutboxEvent, append


class PostgresStore:
    """Routing's tables inside one transaction. `now` fixes the instant; else it is the database's."""

    def __init__(self, tx: Transaction, shelf: PolicyShelf, now: datetime | None = None) -> None:
        self._tx = tx
        self._connection = tx.connection
        self._shelf = shelf
        self._now = now

    async def terms(self) -> Terms:
        return await self._shelf.terms(self._connection, self._now)

    async def resolve(self, lead_ids: Sequence[str]) -> Mapping[str, str]:
        return await lead_files.resolve(self._connection, lead_ids)

    async def splits(self, lead_ids: Sequence[str]) -> Mapping[str, str]:
        rows = await self._connection.fetch(
            "SELECT lead_id, from_id FROM routing.split WHERE lead_id = ANY($1::text[])", list(lead_ids)
        )
        return {row["lead_id"]: row["from_id"] for row in rows}

    async def lock(
        self, lead_ids: Sequence[str], *, create: bool = False, skip: bool = False
    ) -> dict[str, LeadFile]:
        if create:
            return await lead_files.lock_or_create(self._connection, lead_ids, self._now)
        return await lead_files.lock(self._connection, lead_ids, skip=skip)

    async def handoffs(self, handoff_ids: Sequence[str]) -> Mapping[str, Handoff]:
        return await lead_files.handoffs(self._connection, handoff_ids)

    async def handoff_at(self, lead_id: str, at: datetime) -> Handoff | None:
        return await lead_files.handoff_at(self._connection, lead_id, at)

    async def clocks_of(self, handoff_id: str) -> Sequence[Clock]:
        rows = await self._connection.fetch(
            "SELECT body::text AS body FROM routing.clock WHERE handoff_id = $1 ORDER BY clock_id", handoff_id
        )
        return [lead_files.clock_of(row["body"]) for row in rows]

    async def roster(
        self,
        policy: Policy,
        team_ids: Sequence[str],
        person_ids: Sequence[str],
        now: datetime,
        *,
        lock: bool = True,
    ) -> Roster:
        return await load_roster(self._connection, policy, team_ids, person_ids, now, lock=lock)

    async def people(self, person_ids: Sequence[str] | None, *, lock: bool) -> dict[str, PersonRow]:
        return await people.people(self._connection, person_ids, lock=lock)

    async def save_person(self, row: PersonRow) -> None:
        await people.save_people(self._connection, [row])
        await queues.wake(self._connection, None, row.changed_at)

    async def held_by(self, person_ids: Sequence[str]) -> Mapping[str, list[str]]:
        return await people.open_handoffs_of(self._connection, person_ids)

    async def next_policy_number(self) -> int:
        return await next_number(self._connection)

    async def install(self, policy: Policy, *, number: int, body: str, pushed_by: str) -> None:
        at = self._now or await self._connection.fetchval("SELECT statement_timestamp()")
        await publish(self._connection, policy, number=number, body=body, pushed_by=pushed_by, at=at)
        await people.add_missing(
            self._connection, sorted(policy.teams), sorted(policy.people), sorted(policy.queues), at
        )
        await queues.wake(self._connection, None, at)

    async def line(self, queue: str, limit: int, offset: int) -> Sequence[str]:
        return await queues.next_in_line(self._connection, queue, limit, offset)

    async def settle_queue(self, queue: str, turn: int, wakes_at: datetime | None) -> bool:
        return await queues.settle(self._connection, queue, turn, wakes_at)

    async def park(
        self, lead_id: str, act: str, body: Mapping[str, Any], why: str, actor: Actor, at: datetime
    ) -> str:
        parked_id = new_id("park")
        row = {"parked_id": parked_id, "lead_id": lead_id, "act": act, "body": body, "why": why,
               "actor": actor, "at": at}  # fmt: skip
        await insert(self._connection, "parked_command", [row])
        return parked_id

    async def said(self, handoff_id: str, act: str, actor: str) -> str | None:
        body: str | None = await self._connection.fetchval(
            "SELECT body FROM routing.act WHERE handoff_id = $1 AND act = $2 AND actor = $3",
            handoff_id, act, actor,
        )  # fmt: skip
        return body

    async def say(self, handoff_id: str, act: str, actor: str, at: datetime, body: str) -> None:
        await self._connection.execute(
            "INSERT INTO routing.act (handoff_id, act, actor, at, body) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (handoff_id, act, actor) DO UPDATE SET at = excluded.at, body = excluded.body",
            handoff_id, act, actor, at, body,
        )  # fmt: skip

    async def save(self, desk: Desk) -> None:
        connection = self._connection
        if desk.new_redirects:
            await lead_files.redirect(connection, list(desk.new_redirects.items()), desk.now)
        if desk.new_splits:
            await insert(
                connection, "split",
                [{"lead_id": a, "from_id": b, "at": desk.now} for a, b in desk.new_splits.items()],
            )  # fmt: skip
        if desk.unknown:
            await connection.execute(
                "DELETE FROM routing.lead WHERE lead_id = ANY($1::text[])", sorted(desk.unknown)
            )
        files = [desk.files[lead_id] for lead_id in sorted(desk.touched)]
        if files:
            await lead_files.save(connection, files, list(desk.closed.values()), desk.terms.outages)
        await self._save_history(desk)
        if desk.rotations:
            await people.save_rotations(connection, desk.rotations)
        if desk.out_of_rotation:
            await people.leave_out(connection, desk.out_of_rotation, desk.now)
        if desk.frees or desk.woken:
            await queues.wake(connection, None if desk.frees else sorted(desk.woken), desk.now)

    async def _save_history(self, desk: Desk) -> None:
        connection = self._connection
        if desk.snapshots:
            await lead_files.save_snapshots(connection, list(desk.snapshots.values()))
        await lead_files.link_successors(connection, desk.successors)
        await lead_files.save_transitions(connection, desk.transitions)
        await insert(connection, "decision", [_decision(key, desk) for key in desk.decisions])
        await append(
            self._tx,
            [
                OutboxEvent(
                    new_id("ev"), HANDOFFS.name, draft.type, draft.key, desk.now,
                    msgspec.json.encode(draft.make()),
                )
                for draft in desk.drafts
            ],
        )  # fmt: skip


def _decision(decision_id: str, desk: Desk) -> dict[str, Any]:
    decision = desk.decisions[decision_id]
    return {
        "decision_id": decision_id, "lead_id": decision.lead_id, "cycle": decision.cycle, "at": decision.at,
        "person_id": decision.person_id, "queue": decision.queue, "policy_version": decision.policy_version,
        "body": packed(decision),
    }  # fmt: skip
