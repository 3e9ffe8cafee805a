"""From the message on the topic to an entry of the timeline: traits under one name, signals, bot verdict."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.features import canonical_traits
from services.scoring.usecases.ports import Entry
from shared.contracts.activity import ID_BOUNDS, ActivityRecorded, is_id_too_long

BotVerdict = Callable[[ActivityRecorded], str | None]
NUL = "\x00"
_canonical_uuid = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class UnusableActivity(ValueError):
    """The message can never be stored; `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def read_activity(message: ActivityRecorded, compiled: CompiledModel, bot_verdict: BotVerdict) -> Entry:
    """Return the entry of a message; raise UnusableActivity where it can never be stored."""
    person, context = message.person, message.context
    if not (message.anonymous_id or message.user_id or person.email):
        raise UnusableActivity("nobody", "an activity needs an anonymous id, a user id or an e-mail")
    ids = f"{message.anonymous_id}{message.user_id}{person.email}{message.previous_id}"
    if NUL in f"{ids}{message.name}{message.source}{message.body_hash}{context.url}":
        raise UnusableActivity("nul_character", "an id or a name holds the NUL character")
    # Together they are seldom longer than one may be.
    if is_id_too_long(ids) and any(map(is_id_too_long, _ids(message))):
        raise UnusableActivity("id_too_long", f"an id or e-mail has more than {ID_BOUNDS}")
    bot = bot_verdict(message)
    activity = Activity(
        event_id=_event_id(message.event_id),
        kind=message.kind,
        name=message.name,
        occurred_at=message.occurred_at,
        received_at=message.received_at,
        body_hash=message.body_hash,
        source=message.source,
        anonymous_id=message.anonymous_id or None,
        user_id=message.user_id or None,
        email=person.email or None,
        previous_id=message.previous_id or None,
        path=context.path,
        properties=message.properties,
        traits=_traits(message),
        bot=bot is not None,
    )
    return Entry(activity, compiled.signals(activity), _content(message), bot, context.url)


def _ids(message: ActivityRecorded) -> tuple[str, ...]:
    named = message.anonymous_id, message.user_id, message.person.email, message.previous_id
    return tuple(each for each in named if each)


def _event_id(text: str) -> str:
    if _canonical_uuid(text):
        return text
    try:
        return str(UUID(text))
    except ValueError:
        raise UnusableActivity("bad_event_id", "the event id is not a UUID") from None


def _traits(message: ActivityRecorded) -> dict[str, Any]:
    person = message.person
    if not (person.traits or person.phone):
        return {}
    traits = canonical_traits(person.traits)
    traits.pop("email", None)  # an e-mail is an identity, in its canonical form
    if person.phone:
        traits["phone"] = person.phone
    return {name: value for name, value in traits.items() if NUL not in name and not is_id_too_long(name)}


def _content(message: ActivityRecorded) -> dict[str, Any]:
    """Return what the columns do not hold, for rescoring and for the lead's page."""
    context = message.context
    content: dict[str, Any] = {}
    if message.properties:
        content["properties"] = message.properties
    if context.path:
        content["path"] = context.path
    if message.previous_id:
        content["previous_id"] = message.previous_id
    if message.group_id:
        content["group_id"] = message.group_id
    if context.campaign:
        content["campaign"] = context.campaign
    if context.referrer:
        content["referrer"] = context.referrer
    if context.title:
        content["title"] = context.title
    return content
