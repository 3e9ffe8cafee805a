"""A submission becomes an activity by the field map of its source."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from services.ingest.domain.activity import Activity, Arrival, Contact, Place
from services.ingest.domain.clock_skew import parse_instant
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.form_fields import Field, find_fields, normalised
from services.ingest.domain.plain_values import Shape, digest, plain, text_or_none
from services.ingest.domain.redaction import SECRETS
from services.ingest.domain.source import Source
from services.ingest.domain.tracking import campaign_of, path_of

_UTM = {"utm_campaign": "name", "utm_source": "source", "utm_medium": "medium"}
_UTM |= {"utm_term": "term", "utm_content": "content"}
# Longer answers stay whole in the receipt.
_MAX_ANSWER = 8000
_MAX_ID = 256


@dataclass(frozen=True, slots=True)
class Submission:
    """A parsed submission with what its request said. `message_id` was fixed when it came in."""

    message_id: str
    body: dict[str, Any]
    arrival: Arrival
    cookie_id: str | None = None


def content_hash(body: dict[str, Any], source: Source) -> str:
    """Return a digest of what was submitted, the same for each press of the button."""
    skipped = {*source.ignore, *source.secrets, *source.honeypot}
    return digest({key: value for key, value in body.items() if normalised(str(key)) not in skipped})


def idempotency_key(body: dict[str, Any], source: Source) -> str | None:
    """Return what the sender calls this submission, None where it says nothing."""
    return _text(_Fields(find_fields(body)).first(source.idempotency_key))


def map_submission(submission: Submission, source: Source, *, contact: Contact, shape: Shape) -> Activity:
    """Return the activity of a submission; raise Unmappable saying why there is none."""
    body = cast("dict[str, Any]", plain(submission.body, shape))
    return _Mapper(_Fields(find_fields(body)), source, contact, submission).activity(digest(body))


class _Fields:
    """Fields by name, remembering which were used."""

    def __init__(self, fields: list[Field]) -> None:
        self.all = fields
        self._used: set[int] = set()

    def first(self, names: tuple[str, ...]) -> Any:
        """Return the first value that is not blank under the first name that has one; mark its field used."""
        for name in names:
            for index, field in enumerate(self.all):
                if (name in field.names or name == field.path) and not _blank(field.value):
                    self._used.add(index)
                    return field.value
        return None

    def rest(self) -> list[Field]:
        return [field for index, field in enumerate(self.all) if index not in self._used]


class _Mapper:
    def __init__(self, fields: _Fields, source: Source, contact: Contact, submission: Submission) -> None:
        self._fields = fields
        self._source = source
        self._contact = contact
        self._submission = submission

    def activity(self, hashed: str) -> Activity:
        source, arrival = self._source, self._submission.arrival
        if self._fields.first(source.honeypot) is not None:
            raise Unmappable("honeypot", "a field that people cannot see was filled in")
        if _flag(self._fields.first(source.test)):
            raise Unmappable("test_submission", "the vendor marked it as a test")
        email, phone, flags = self._contacts()
        anonymous_id = _text(self._fields.first(source.anonymous_id)) or self._submission.cookie_id
        # Without an e-mail address the number names the person (RFC 3966); with one it may be a switchboard.
        user_id = _text(self._fields.first(source.user_id)) or (
            f"tel:{phone}" if phone and not email else None
        )
        if not (email or user_id or anonymous_id):
            if "phone" in flags:
                raise Unmappable(
                    "invalid_phone",
                    "the phone number is not a valid one, and the submission has no e-mail address",
                    "/phone",
                )
            raise Unmappable("no_identity", "the submission has no e-mail, phone number or anonymous id")
        traits = self._traits()
        place = self._place()
        form = _text(self._fields.first(source.form))
        happened = self._happened(arrival.received_at)
        return Activity(
            kind="form",
            name=source.name,
            message_id=self._submission.message_id,
            occurred_at=happened,
            received_at=arrival.received_at,
            body_hash=hashed,
            anonymous_id=anonymous_id,
            user_id=user_id,
            email=email,
            phone=phone,
            traits=traits | ({"phone": flags["phone"]} if "phone" in flags else {}),
            properties=self._properties() | ({"form": form} if form else {}) | _invalid(flags),
            place=place,
        )

    def _contacts(self) -> tuple[str | None, str | None, dict[str, str]]:
        """Return e-mail, phone number, and what was given for them but is neither."""
        told_email = _text(self._fields.first(self._source.email), 320)
        told_phone = _text(self._fields.first(self._source.phone))
        email = self._contact.email(told_email) if told_email else None
        phone = self._contact.phone(told_phone, self._source.region) if told_phone else None
        if email is None and self._source.guess_email:
            email = self._guess_email()
        if told_email and not email and not phone:
            other = "the phone number is not a valid one either" if told_phone else "there is no phone number"
            raise Unmappable("invalid_email", f"the e-mail address is not a valid one, and {other}", "/email")
        flags = {"email": told_email} if told_email and not email else {}
        return email, phone, flags | ({"phone": told_phone} if told_phone and not phone else {})

    def _guess_email(self) -> str | None:
        found = {
            email
            for field in self._fields.all
            if isinstance(field.value, str)
            and "@" in field.value
            and (email := self._contact.email(field.value))
        }
        return found.pop() if len(found) == 1 else None

    def _traits(self) -> dict[str, Any]:
        told = {name: self._fields.first(names) for name, names in self._source.traits.items()}
        return dict(self._source.constants) | {
            name: _bounded(_single(value)) for name, value in told.items() if value is not None
        }

    def _place(self) -> Place:
        arrival = self._submission.arrival
        url = _text(self._fields.first(self._source.page_url), 2000) or arrival.referrer
        told = {short: _text(self._fields.first((name,))) for name, short in _UTM.items()}
        return Place(
            url=url,
            path=path_of(url) if url else None,
            campaign=campaign_of({key: value for key, value in told.items() if value}, url),
            user_agent=arrival.user_agent if arrival.browser else None,
            ip=arrival.ip if arrival.browser else None,
            locale=arrival.locale if arrival.browser else None,
        )

    def _happened(self, received_at: datetime) -> datetime:
        told = parse_instant(self._fields.first(self._source.occurred_at))
        return min(told, received_at) if told else received_at

    def _properties(self) -> dict[str, Any]:
        """Return the answers that no rule of the source asked for."""
        skipped = {*self._source.ignore, *self._source.honeypot, *SECRETS, *self._source.secrets}
        found: dict[str, Any] = {}
        for field in self._fields.rest():
            name = field.names[-1] if field.answer else field.names[0]
            if name and not skipped.intersection(field.names) and not _blank(field.value):
                found.setdefault(name, _bounded(field.value))
        return found


def _invalid(flags: dict[str, str]) -> dict[str, Any]:
    return {"invalid": sorted(flags)} if flags else {}


def _blank(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def _flag(value: Any) -> bool:
    return str(_single(value)).strip().lower() in {"true", "1", "yes", "on"}


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(value: Any, limit: int = _MAX_ID) -> str | None:
    text = text_or_none(_single(value) if not isinstance(value, list) else next(iter(value), None))
    return text[:limit] if text else None


def _bounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    return value[:_MAX_ANSWER] if isinstance(value, str) else value
