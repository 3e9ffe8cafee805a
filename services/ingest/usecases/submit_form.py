"""Takes a form submission: keeps it, then reads it, then announces it or parks it. Nothing is refused."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from services.ingest.domain.activity import Contact
from services.ingest.domain.errors import Malformed, Unmappable
from services.ingest.domain.form_body import read_body
from services.ingest.domain.form_mapping import Submission, content_hash, idempotency_key, map_submission
from services.ingest.domain.intake import Parked, Posted, Receipt, Settled
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.redaction import without_secrets
from services.ingest.domain.source import Source, Sources
from services.ingest.usecases.announce_activity import to_message, to_outbox
from services.ingest.usecases.ports import Intake, IntakeStore, Reserve, StoreUnavailable
from shared.contracts.activity import ActivityRecorded

UNKNOWN_SOURCE = "unknown_source"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission with its ids fixed, before the first attempt to store it."""

    receipt: Receipt
    source: Source | None
    body: dict[str, Any] | None
    fault: Unmappable | None
    key_hash: str
    by_content: bool


def prepare_submission(posted: Posted, sources: Sources) -> Prepared:
    """Fix the ids of a submission: whether it is one already known is decided when it is stored."""
    source = sources.by_name.get(posted.source)
    rules = source or Source(posted.source)
    body, fault = _parsed(posted.raw)
    if source is None:
        fault = Unmappable(UNKNOWN_SOURCE, "no source of this name is configured")
    elif rules.allowed_origins and posted.headers.get("origin") not in {*rules.allowed_origins, None}:
        fault = Unmappable("foreign_origin", "the page that sent it is not one of the source's origins")
    key_hash, by_content = _same_as(posted, body, rules)
    message_id = posted.submission_id if by_content else f"form-{key_hash[:40]}"
    receipt = Receipt(
        submission_id=posted.submission_id,
        source=posted.source,
        message_id=message_id,
        raw=without_secrets(posted.raw, body, rules.secrets) if body else posted.raw,
        headers=posted.headers,
        doorstep=posted.doorstep,
    )
    return Prepared(receipt, source, body, fault, key_hash, by_content)


def _same_as(posted: Posted, body: dict[str, Any] | None, source: Source) -> tuple[str, bool]:
    """Return a digest that the same submission has each time, and whether it is of the content alone."""
    if posted.idempotency_key:
        return _hash(f"header\x00{posted.idempotency_key}"), False
    content = content_hash(body, source) if body else sha256(posted.raw).hexdigest()
    if body and (key := idempotency_key(body, source)):
        # With the content: a token outlives the typo that its sender goes back to mend, and what one vendor
        # calls `event_id` is another's name of a fair.
        return _hash(f"key\x00{key}\x00{content}"), False
    return _hash(f"content\x00{content}"), True


async def take_submission(
    posted: Posted,
    sources: Sources,
    *,
    store: IntakeStore,
    reserve: Reserve | None,
    contact: Contact,
    shape: Shape,
) -> Settled:
    """Settle a submission, or keep it in reserve while the store is away; raise StoreUnavailable.

    What is kept in reserve is prepared again when it is settled, from the same ids.
    """
    prepared = prepare_submission(posted, sources)
    try:
        async with store.transaction() as intake:
            return await submit_form(prepared, intake, contact=contact, shape=shape)
    except StoreUnavailable:
        if reserve is None:
            raise
    await reserve.keep_submission(posted)
    return Settled(posted.submission_id, "spooled")


async def submit_form(prepared: Prepared, intake: Intake, *, contact: Contact, shape: Shape) -> Settled:
    """Keep the submission and settle it, all in the transaction of `intake`."""
    receipt = prepared.receipt
    await intake.add_receipt(receipt)
    window = (prepared.source or Source("")).double_submit_window if prepared.by_content else None
    earlier = await intake.claim(receipt, prepared.key_hash, window=window)
    if earlier is not None:
        await intake.settle(receipt.submission_id, "duplicate", original=earlier)
        return Settled(receipt.submission_id, "duplicate", duplicate_of=earlier.submission_id)
    try:
        event = to_outbox(_mapped(prepared, contact, shape))
    except Unmappable as fault:
        return await _park(receipt, fault, intake)
    await intake.publish([event])
    await intake.settle(receipt.submission_id, "mapped", event_id=event.id)
    return Settled(receipt.submission_id, "mapped", event_id=event.id)


def map_receipt(
    receipt: Receipt, body: dict[str, Any], source: Source, *, contact: Contact, shape: Shape
) -> ActivityRecorded:
    """Return the message of a kept submission; raise Unmappable, whatever is wrong with it."""
    doorstep = receipt.doorstep
    submission = Submission(receipt.message_id, body, doorstep.arrival, doorstep.cookie_id)
    try:
        return to_message(map_submission(submission, source, contact=contact, shape=shape), source.name)
    except Unmappable:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as bug:
        # A fault of ours must not cost the lead: it waits for the mended release.
        raise Unmappable("mapping_failed", f"the mapping failed ({type(bug).__name__})") from bug


def _mapped(prepared: Prepared, contact: Contact, shape: Shape) -> ActivityRecorded:
    if prepared.fault is not None or prepared.source is None or prepared.body is None:
        raise prepared.fault or Unmappable("malformed", "the body cannot be read")
    return map_receipt(prepared.receipt, prepared.body, prepared.source, contact=contact, shape=shape)


async def _park(receipt: Receipt, fault: Unmappable, intake: Intake) -> Settled:
    parked = Parked(
        id=f"q_{_hash(receipt.submission_id)[:32]}",
        door="form",
        source=receipt.source,
        message_id=receipt.message_id,
        code=fault.code,
        detail=fault.detail,
        pointer=fault.pointer,
        body=receipt.raw,
        doorstep=receipt.doorstep,
        submission_id=receipt.submission_id,
    )
    await intake.park([parked])
    await intake.settle(receipt.submission_id, "quarantined")
    return Settled(
        receipt.submission_id, "quarantined", quarantine_id=parked.id, reasons=(fault.code, fault.detail)
    )


def _parsed(raw: bytes) -> tuple[dict[str, Any] | None, Unmappable | None]:
    try:
        return read_body(raw), None
    except Malformed as bad:
        return None, Unmappable("malformed", str(bad))
    except (ValueError, TypeError, LookupError, RecursionError):
        return None, Unmappable("malformed", "the body cannot be read")


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
