"""Which service answers which path: one table, used by every process that serves more than one service."""

from shared.contracts.topics import ServiceName

# Longest prefix wins; a prefix matches a whole path segment.
ROUTES: tuple[tuple[str, ServiceName], ...] = (
    ("/v1/track", "ingest"),
    ("/v1/identify", "ingest"),
    ("/v1/page", "ingest"),
    ("/v1/screen", "ingest"),
    ("/v1/group", "ingest"),
    ("/v1/alias", "ingest"),
    ("/v1/batch", "ingest"),
    ("/v1/import", "ingest"),
    ("/v1/t", "ingest"),
    ("/v1/i", "ingest"),
    ("/v1/p", "ingest"),
    ("/v1/s", "ingest"),
    ("/v1/g", "ingest"),
    ("/v1/a", "ingest"),
    ("/v1/b", "ingest"),
    ("/v1/m", "ingest"),
    ("/v1/projects", "ingest"),
    ("/v1/forms", "ingest"),
    ("/v1/receipts", "ingest"),
    ("/v1/quarantine", "ingest"),
    ("/v1/sources", "ingest"),
    ("/site", "ingest"),
    ("/v1/leads", "scoring"),
    ("/v1/models", "scoring"),
    ("/v1/merges", "scoring"),
    ("/v1/lifecycle", "routing"),
    ("/v1/handoffs", "routing"),
    ("/v1/sla", "routing"),
    ("/v1/people", "routing"),
    ("/v1/decisions", "routing"),
    ("/v1/queues", "routing"),
    ("/v1/events", "routing"),
    ("/v1/policies", "routing"),
)


_OWNERS = dict(ROUTES)
_DEPTHS = sorted({prefix.count("/") for prefix in _OWNERS}, reverse=True)


def owner_of(path: str) -> ServiceName | None:
    """Return the service that answers `path`, or None where none does."""
    for depth in _DEPTHS:
        owner = _OWNERS.get("/".join(path.split("/", depth + 1)[: depth + 1]))
        if owner is not None:
            return owner
    return None
