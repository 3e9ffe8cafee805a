"""From the message on the topic to an entry of the timeline: traits under one name, signals, bot verdict."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.features import canonical_traits
from services.scoring.usecases.ports import Entry
from shared.contracts.activity import ActivityRecorded

BotVerdict = Callable[[ActivityRecorded], str | None]
NUL = "\x00"
# An entry of an index takes 2,700 bytes, and there are indexes over two ids.
MAX_ID = 500  # characters
MAX_ID_BYTES = 1000


class UnusableActivity(ValueError):
    """The message can never be stored; `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def read_activity(message: ActivityRecorded, compiled: CompiledModel, bot_verdict: BotVerdict) -> Entry:
    """Return the entry of a message; raise UnusableActivity where it can never be stored."""
    named = (message.anonymous_id, message.user_id, message.person.email)
    if not any(named):
        raise UnusableActivity("nobody", "an activity needs an anonymous id, a user id or an e-mail")
    texts = (
        *named,
        message.previous_id,
        message.name,
        message.source,
        message.body_hash,
        message.context.url,
    )
    if any(NUL in text for text in texts if text):
        raise UnusableActivity("nul_character", "an id or a name holds the NUL character")
    if any(_too_long(value) for value in (*named, message.previous_id) if value):
        raise UnusableActivity(
            "id_too_long", f"an id or e-mail has more than {MAX_ID} characters or {MAX_ID_BYTES} bytes"
        )
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
        email=message.person.email or None,
        previous_id=message.previous_id or None,
        path=message.context.path,
        properties=message.properties,
        traits=_traits(message),
        bot=bot is not None,
    )
    return Entry(activity, compiled.signals(activity), _content(message), bot, message.context.url)


def _event_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise UnusableActivity("bad_event_id", "the event id is not a UUID") from None


def _traits(message: ActivityRecorded) -> dict[str, Any]:
    traits = canonical_traits(message.person.traits)
    traits.pop("email", None)  # an e-mail is an identity, in its canonical form
    if message.person.phone:
        traits["phone"] = message.person.phone
    return {name: value for name, value in traits.items() if NUL not in name and not _too_long(name)}


def _too_long(text: str) -> bool:
    return len(text) > MAX_ID or (not text.isascii() and len(text.encode()) > MAX_ID_BYTES)


def _content(message: ActivityRecorded) -> dict[str, Any]:
    """Return what the columns do not hold, for rescoring and for the lead's page."""
    context = message.context
    content = {
        "properties": message.properties,
        "path": context.path,
        "previous_id": message.previous_id,
        "group_id": message.group_id,
        "campaign": context.campaign,
        "referrer": context.referrer,
        "title": context.title,
    }
    return {name: value for name, value in content.items() if value}
