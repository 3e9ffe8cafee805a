"""Dead letters of all services under one address, `/v1/deadletters`: listed, shown, replayed, discarded."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from shared.bus.port import Bus, BusForbids, BusUnavailable, UnknownTopic
from shared.consumer import dead_letters
from shared.consumer.dead_letters import DeadLetter, LetterNotHeld
from shared.consumer.positions import resume
from shared.contracts.topics import SERVICES, ServiceName, consumer_group
from shared.db.database import Database
from shared.web.auth import Admin, Reader
from shared.web.problem import Problem, unavailable


@dataclass(frozen=True, slots=True)
class Holder:
    """A service that holds dead letters, and the bus to replay them on."""

    database: Database
    bus: Bus


class Mended(BaseModel):
    """A replay may carry the message as it should have been: JSON instead of the one that was held."""

    model_config = ConfigDict(extra="forbid")

    value: dict[str, Any] | None = None


def router(holders: Mapping[ServiceName, Holder]) -> APIRouter:
    """Return the routes over the dead letters of `holders`."""
    routes = APIRouter(prefix="/v1/deadletters", tags=["operations"])
    _add_reads(routes, holders)
    _add_acts(routes, holders)
    return routes


def _add_reads(routes: APIRouter, holders: Mapping[ServiceName, Holder]) -> None:
    @routes.get("")
    async def list_letters(
        _: Reader,
        service: ServiceName | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        """List what is held, service by service, oldest first; without bodies."""
        start, after = _place(cursor)
        wanted = [name for name in SERVICES[SERVICES.index(start) :] if service in (None, name)]
        data: list[dict[str, Any]] = []
        for name in wanted:
            letters = await dead_letters.list_letters(
                holders[name].database, after=after if name == start else 0, limit=limit + 1 - len(data)
            )
            data += [summary(name, letter) for letter in letters]
            if len(data) > limit:
                break
        more = len(data) > limit
        last = data[limit - 1] if more else None
        return {"data": data[:limit], "next": f"{last['service']}.{last['id']}" if last else None}

    @routes.get("/{service}/{letter_id}")
    async def show_letter(service: ServiceName, letter_id: int, _: Admin) -> dict[str, Any]:
        """Show one with headers and body."""
        letter = await dead_letters.get_letter(holders[service].database, letter_id)
        if letter is None:
            raise _not_held(service, letter_id)
        return {**summary(service, letter), "headers": _headers(letter), **_body(letter.value or b"")}


def _add_acts(routes: APIRouter, holders: Mapping[ServiceName, Holder]) -> None:
    @routes.post("/{service}/{letter_id}/replay")
    async def replay_letter(
        service: ServiceName,
        letter_id: int,
        key: Admin,
        mended: Mended | None = None,
    ) -> dict[str, Any]:
        """Put it back on its topic, mended where a value is given."""
        holder = holders[service]
        value = json.dumps(mended.value).encode() if mended and mended.value is not None else None
        try:
            letter = await dead_letters.replay(holder.database, holder.bus, letter_id, by=key.id, value=value)
        except LetterNotHeld:
            raise _not_held(service, letter_id) from None
        except (BusUnavailable, BusForbids, UnknownTopic):
            raise unavailable("bus_unavailable", "The bus cannot take the message now. Try again.") from None
        return summary(service, letter)

    @routes.post("/{service}/{letter_id}/discard")
    async def discard_letter(service: ServiceName, letter_id: int, key: Admin) -> dict[str, Any]:
        """Give it up; it stays listed with who did it."""
        try:
            letter = await dead_letters.discard(holders[service].database, letter_id, by=key.id)
        except LetterNotHeld:
            raise _not_held(service, letter_id) from None
        return summary(service, letter)

    @routes.post("/{service}/resume")
    async def resume_consumer(service: ServiceName, _: Admin) -> dict[str, Any]:
        """Let a consumer go on that stopped after too many failures in a row: the next are set aside too."""
        resumed = await resume(holders[service].database, consumer_group(service))
        return {"service": service, "partitions": resumed}


def summary(service: ServiceName, letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter for a list: where it came from, why it is held; nothing of its body or key."""
    return {
        "service": service,
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "code": letter.code,
        "detail": letter.detail,
        "first_seen": letter.first_seen,
        "status": letter.status,
        "replays": letter.replays,
        "changed_at": letter.changed_at,
        "changed_by": letter.changed_by,
        "size": letter.size,
    }


def _headers(letter: DeadLetter) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in letter.headers}


def _body(value: bytes) -> dict[str, Any]:
    try:
        return {"value": json.loads(value)}
    except (ValueError, RecursionError):
        return {"value_base64": base64.b64encode(value).decode()}


def _place(cursor: str | None) -> tuple[ServiceName, int]:
    if not cursor:
        return SERVICES[0], 0
    name, _, letter_id = cursor.partition(".")
    for service in SERVICES:
        if name == service and letter_id.isdecimal():
            return service, int(letter_id)
    raise Problem(400, "invalid_cursor", "The cursor is not one of this list; leave it out to start again.")


def _not_held(service: str, letter_id: int) -> Problem:
    return Problem(404, "not_held", f"{service} holds no dead letter {letter_id}")
