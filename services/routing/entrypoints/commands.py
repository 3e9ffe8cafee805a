"""`POST /v1/handoffs/{id}/{act}` and `POST /v1/lifecycle/{lead_id}/{act}`: answered after the commit."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.routing.domain import lifecycle
from services.routing.domain.lifecycle import Actor, Command
from services.routing.entrypoints import schemas
from services.routing.entrypoints.acting import REFUSALS, actor_of, problem_of_refusal
from services.routing.usecases.act_on_handoff import LeadsMoved, act_on_handoff, act_on_lead
from services.routing.usecases.pause_clock import pause_clock
from services.routing.usecases.ports import Store
from services.routing.usecases.show import clock_view, handoff_view, late_view
from services.routing.usecases.take_feedback import take_feedback
from shared.db.database import Database, Transaction
from shared.web.auth import ApiKey, require
from shared.web.idempotency import Answer, read_ticket, run_once
from shared.web.problem import invalid_field, unavailable

StoreOf = Callable[[Transaction, datetime | None], Store]
Key = Annotated[ApiKey, Depends(require("work"))]
ATTEMPTS = 3  # a lead is merged or split at most now and then
Run = Callable[..., Awaitable[Response]]


def handoff_commands(database: Database, store_of: StoreOf) -> APIRouter:
    """Return the routes of acts on hand-offs."""
    router = APIRouter(prefix="/v1/handoffs/{handoff_id}", tags=["hand-offs"])

    async def run(
        request: Request,
        key: ApiKey,
        handoff_id: str,
        act: str,
        command: Command,
        by: str | None,
        evidence_at: datetime | None = None,
    ) -> Response:
        actor = actor_of(key, by)

        async def work(tx: Transaction) -> Answer:
            store = store_of(tx, None)
            answer = await act_on_handoff(store, handoff_id, command, actor, act, evidence_at=evidence_at)
            if not answer.changed and answer.said is not None:
                return Answer(200, answer.said.encode())
            view = handoff_view(answer.handoff) if answer.handoff else {}
            shown = Answer.json(view | ({"late_evidence": late_view(answer.late)} if answer.late else {}))
            if answer.changed:
                await store.say(handoff_id, act, actor.identity, answer.desk.now, shown.body.decode())
            return shown

        return await _answer(database, request, key, work)

    _add_simple(router, run)
    _add_outcomes(router, run)
    return router


def _add_simple(router: APIRouter, run: Run) -> None:
    @router.post("/accept")
    async def accept(
        request: Request, handoff_id: str, key: Key, body: schemas.AcceptBody | None = None
    ) -> Response:
        """The rep takes the lead (SAL)."""
        said = body or schemas.AcceptBody()
        command = lifecycle.Accept(said.occurred_at)
        return await run(request, key, handoff_id, "accept", command, said.by, said.occurred_at)

    @router.post("/contact")
    async def contact(
        request: Request, handoff_id: str, key: Key, body: schemas.ContactBody | None = None
    ) -> Response:
        """First touch; while assigned it implies acceptance.

        Told of a hand-off that is closed by now, with `occurred_at` while it was open, it is recorded there
        (`late_evidence`): a breach is corrected, and the hand-off of `successor_id` stands.
        """
        said = body or schemas.ContactBody()
        command = lifecycle.Contact(said.channel, said.occurred_at)
        return await run(request, key, handoff_id, "contact", command, said.by, said.occurred_at)

    @router.post("/reassign")
    async def reassign(
        request: Request, handoff_id: str, key: Key, body: schemas.ReassignBody | None = None
    ) -> Response:
        """Take it from the rep and decide again, or give it to one named person."""
        said = body or schemas.ReassignBody()
        command = lifecycle.Reassign(said.to_person, note=said.note)
        return await run(request, key, handoff_id, "reassign", command, said.by)

    @router.post("/hand-back")
    async def hand_back(
        request: Request, handoff_id: str, key: Key, body: schemas.NoteBody | None = None
    ) -> Response:
        """The rep hands it back, without rejecting it."""
        said = body or schemas.NoteBody()
        return await run(request, key, handoff_id, "hand_back", lifecycle.HandBack(said.note), said.by)


def _add_outcomes(router: APIRouter, run: Run) -> None:
    @router.post("/reject")
    async def reject(request: Request, handoff_id: str, key: Key, body: schemas.ReasonBody) -> Response:
        """The rep rejects the lead for a configured reason."""
        return await run(
            request, key, handoff_id, "reject", lifecycle.Reject(body.reason, body.note), body.by
        )

    @router.post("/qualify")
    async def qualify(
        request: Request, handoff_id: str, key: Key, body: schemas.QualifyBody | None = None
    ) -> Response:
        """The lead is an opportunity, or its stage, amount or expected close changes."""
        said = body or schemas.QualifyBody()
        command = lifecycle.Qualify(said.stage, said.amount, said.currency, said.expected_close)
        return await run(request, key, handoff_id, "qualify", command, said.by)

    @router.post("/win")
    async def win(
        request: Request, handoff_id: str, key: Key, body: schemas.WinBody | None = None
    ) -> Response:
        """Closed won."""
        said = body or schemas.WinBody()
        return await run(request, key, handoff_id, "win", lifecycle.Win(said.amount, said.currency), said.by)

    @router.post("/lose")
    async def lose(
        request: Request, handoff_id: str, key: Key, body: schemas.LoseBody | None = None
    ) -> Response:
        """Closed lost."""
        said = body or schemas.LoseBody()
        return await run(request, key, handoff_id, "lose", lifecycle.Lose(said.reason, said.note), said.by)

    @router.post("/recycle")
    async def recycle(request: Request, handoff_id: str, key: Key, body: schemas.ReasonBody) -> Response:
        """Stalled: back to marketing for a configured reason."""
        return await run(
            request, key, handoff_id, "recycle", lifecycle.Recycle(body.reason, body.note), body.by
        )

    @router.post("/disqualify")
    async def disqualify(
        request: Request, handoff_id: str, key: Key, body: schemas.DisqualifyBody
    ) -> Response:
        """Junk, competitor or do-not-contact: out."""
        command = lifecycle.Disqualify(body.reason, body.do_not_contact)
        return await run(request, key, handoff_id, "disqualify", command, body.by)


def clock_commands(database: Database, store_of: StoreOf) -> APIRouter:
    """Return the routes that pause and resume the clock of a hand-off."""
    router = APIRouter(prefix="/v1/handoffs/{handoff_id}", tags=["sla"])

    async def run(
        request: Request, key: ApiKey, handoff_id: str, by: str | None, reason: str | None
    ) -> Response:
        actor_of(key, by)

        async def work(tx: Transaction) -> Answer:
            store = store_of(tx, None)
            clock = await pause_clock(store, handoff_id, reason)
            return Answer.json(clock_view(clock, (await store.terms()).now))

        return await _answer(database, request, key, work)

    @router.post("/pause")
    async def pause(request: Request, handoff_id: str, key: Key, body: schemas.ReasonBody) -> Response:
        """Pause the clock for a configured reason; it runs again by itself at the reason's limit."""
        return await run(request, key, handoff_id, body.by, body.reason)

    @router.post("/resume")
    async def resume(
        request: Request, handoff_id: str, key: Key, body: schemas.ActBody | None = None
    ) -> Response:
        """Let the clock run again."""
        return await run(request, key, handoff_id, body.by if body else None, None)

    return router


def command_of(said: schemas.FeedbackBody) -> Command:
    """Return the command of a CRM's feedback; raise Problem 422 for an act that is none."""
    commands: dict[str, Command] = {
        "accept": lifecycle.Accept(said.occurred_at),
        "contact": lifecycle.Contact(said.channel, said.occurred_at),
        "qualify": lifecycle.Qualify(said.stage, said.amount, said.currency, said.expected_close),
        "win": lifecycle.Win(said.amount, said.currency),
        "lose": lifecycle.Lose(said.reason, said.note),
        "reject": lifecycle.Reject(said.reason, said.note),
        "recycle": lifecycle.Recycle(said.reason, said.note),
        "disqualify": lifecycle.Disqualify(said.reason),
    }
    if said.act not in commands:
        raise invalid_field("/act", f"one of: {', '.join(sorted(commands))}")
    return commands[said.act]


def feedback_route(database: Database, store_of: StoreOf) -> APIRouter:
    """Return the route on which a CRM tells what it knows: 200 done or known already, 202 parked."""
    router = APIRouter(prefix="/v1/lifecycle/{lead_id}", tags=["lifecycle"])

    @router.post("/feedback")
    async def feedback(request: Request, lead_id: str, key: Key, body: schemas.FeedbackBody) -> Response:
        """Take feedback: repeated is no change, illegal is parked and shown on the lead."""
        command = command_of(body)
        actor = Actor("crm", key.id, body.by)

        async def work(tx: Transaction) -> Answer:
            said = body.model_dump(mode="json", exclude_defaults=True)
            taken = await take_feedback(
                store_of(tx, None), lead_id, body.act, command, actor, said, evidence_at=body.occurred_at
            )
            return Answer.json(asdict(taken), 202 if taken.parked_id else 200)

        return await _answer(database, request, key, work)

    return router


def lead_commands(database: Database, store_of: StoreOf) -> APIRouter:
    """Return the routes of acts on leads themselves."""
    router = APIRouter(prefix="/v1/lifecycle/{lead_id}", tags=["lifecycle"])

    async def run(request: Request, key: ApiKey, lead_id: str, command: Command, by: str | None) -> Response:
        actor = actor_of(key, by)

        async def work(tx: Transaction) -> Answer:
            answer = await act_on_lead(store_of(tx, None), lead_id, command, actor)
            (file,) = answer.desk.files.values()
            held = file.handoff.id if file.handoff else None
            return Answer.json(
                {
                    "lead_id": file.lead_id,
                    "state": file.record.state,
                    "cycle": file.record.cycle,
                    "handoff_id": held,
                }
            )

        return await _answer(database, request, key, work)

    @router.post("/reopen")
    async def reopen(
        request: Request, lead_id: str, key: Key, body: schemas.ActBody | None = None
    ) -> Response:
        """A disqualified lead back to nurturing, in a new cycle."""
        return await run(request, key, lead_id, lifecycle.Reopen(), body.by if body else None)

    @router.post("/disqualify")
    async def disqualify(request: Request, lead_id: str, key: Key, body: schemas.DisqualifyBody) -> Response:
        """Out, by hand."""
        command = lifecycle.Disqualify(body.reason, body.do_not_contact)
        return await run(request, key, lead_id, command, body.by)

    @router.post("/recycle")
    async def recycle(request: Request, lead_id: str, key: Key, body: schemas.ReasonBody) -> Response:
        """A lost lead back to marketing, to cool down."""
        return await run(request, key, lead_id, lifecycle.Recycle(body.reason, body.note), body.by)

    @router.post("/reassign")
    async def reassign(
        request: Request, lead_id: str, key: Key, body: schemas.ReassignBody | None = None
    ) -> Response:
        """Decide again on a queued lead, or give it to one named person."""
        said = body or schemas.ReassignBody()
        return await run(request, key, lead_id, lifecycle.Reassign(said.to_person, note=said.note), said.by)

    return router


async def _answer(
    database: Database, request: Request, key: ApiKey, work: Callable[[Transaction], Awaitable[Answer]]
) -> Response:
    ticket = await read_ticket(request, key)
    for _ in range(ATTEMPTS):
        try:
            return (await run_once(database, ticket, work)).response()
        except REFUSALS as refusal:
            raise problem_of_refusal(refusal) from refusal
        except LeadsMoved:
            continue
    raise unavailable("lead_busy", "The lead is being merged. Try again.")
