"""Every metric of Leadline, each with what it means and what to do about it. Names start with `leadline_`."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST


def render() -> bytes:
    """Return all metrics of this process in Prometheus' text format."""
    return generate_latest(REGISTRY)


# --- HTTP -----------------------------------------------------------------------------------------------

# Requests answered, by route template (never the path itself: paths carry ids) and status.
HTTP_REQUESTS = Counter(
    "leadline_http_requests",
    "HTTP requests answered.",
    ["service", "method", "route", "status"],
    registry=REGISTRY,
)

# From the first byte to the last; the promise is an answer within 5 s, whatever is down.
HTTP_SECONDS = Histogram(
    "leadline_http_request_seconds",
    "Time to answer a request.",
    ["service", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)

# --- API keys -------------------------------------------------------------------------------------------

# `cache`: known and fresh; `database`: looked up; `last_good`: the database is away and an older answer
# served; `unavailable`: away and nothing known. A rate of `last_good` is an outage that callers do not feel.
KEY_LOOKUPS = Counter("leadline_key_lookups", "API key look-ups.", ["answer"], registry=REGISTRY)

# --- Ingest ---------------------------------------------------------------------------------------------

# Items taken in, by door (`tracking`, `form`) and what became of them (`accepted` or `mapped`,
# `quarantined`, `duplicate`). A rising share of `quarantined`: a site or form changed, look at the reasons.
INGEST_MESSAGES = Counter(
    "leadline_ingest_messages", "Messages and submissions taken in.", ["door", "outcome"], registry=REGISTRY
)
