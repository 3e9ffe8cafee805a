"""Every metric of Leadline, each with what it means and what to do about it. Names start with `leadline_`."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST


def render() -> bytes:
    """Return all metrics in Prometheus' text format.

    With PROMETHEUS_MULTIPROC_DIR set before the process starts, those of all processes that share it:
    what `leadline work` counts is then seen at the api's `/metrics`. Without it, this process's own.
    """
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)
    return generate_latest(together)


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

# Requests kept on this machine's disk while the bus (`activity`) or the database (`intake`) was away, and
# records that have arrived since. A rate of the first is an outage that senders do not feel.
SPOOLED = Counter("leadline_spooled", "Requests kept in the spool.", ["service", "place"], registry=REGISTRY)
UNSPOOLED = Counter(
    "leadline_unspooled", "Records that left the spool.", ["service", "place"], registry=REGISTRY
)

# What waits there, seen every second. Bytes that stay while the bus is back: look for `spool_` in the log.
SPOOLED_BYTES = Gauge(
    "leadline_spooled_bytes",
    "Bytes in the spool.",
    ["service", "place"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# What its place refused for good: a bug, told in the log. It is tried again each hour and at the next start.
SPOOL_HELD_BYTES = Gauge(
    "leadline_spool_held_bytes",
    "Bytes of spooled records that were refused.",
    ["service", "place"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# Files set aside because of damage in them (`spool_file_damaged`): what was damaged has not arrived.
SPOOL_TORN_BYTES = Gauge(
    "leadline_spool_torn_bytes",
    "Bytes of damaged spool files.",
    ["service", "place"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# --- Bus, outbox, consumers -----------------------------------------------------------------------------

# Messages by what became of them: `handled`, `rejected` (poison), `failed` (a bug; dead-lettered), `skipped`
# (of an epoch before the restore). Any `rejected` or `failed` is worth a look: `leadline deadletters list`.
CONSUMED = Counter("leadline_consumed", "Messages consumed.", ["group", "outcome"], registry=REGISTRY)

# One transaction of a consumer. Over 0.5 s its locks are felt on the request paths; batches then shrink.
CONSUMER_BATCH_SECONDS = Histogram(
    "leadline_consumer_batch_seconds",
    "Time of one consumer transaction.",
    ["group"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)

# Times a consumer had to wait for a dependency or lost its partitions. A steady rate: something flaps.
CONSUMER_SETBACKS = Counter(
    "leadline_consumer_setbacks", "Retries and fences of consumers.", ["group", "kind"], registry=REGISTRY
)

# Offsets between what the log holds and what a lane's partitions have handled, seen every 10 s; the sum over
# lanes is the group's. Growing: add a worker, or look for what holds this one up.
CONSUMER_LAG = Gauge(
    "leadline_consumer_lag",
    "Messages not yet handled.",
    ["group", "lane"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)

# Events sent by the relay, and how long they lay in the outbox before (p99 under 1 s even when never woken).
RELAYED = Counter("leadline_relayed", "Events sent to the bus.", ["service"], registry=REGISTRY)
OUTBOX_SECONDS = Histogram(
    "leadline_outbox_seconds",
    "Age of an event when it is sent.",
    ["service"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300),
    registry=REGISTRY,
)

# What the log's housekeeping could not do, such as dropping a day that a group still needs: find that group.
BUS_ALARMS = Counter("leadline_bus_alarms", "Housekeeping not done.", ["service"], registry=REGISTRY)

# --- Routing --------------------------------------------------------------------------------------------

# Clocks that warned, breached or climbed a rung, and cool-downs that ended.
CLOCKS_FIRED = Counter("leadline_clocks_fired", "Clocks that did something due.", registry=REGISTRY)

# From the target to the recording of the breach; the promise is 0.5 s (p99) while undisturbed. Higher: the
# timer role is starved, or its leads are locked for long.
BREACH_LATENESS = Histogram(
    "leadline_breach_lateness_seconds",
    "Lateness of a recorded breach.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300, 3600),
    registry=REGISTRY,
)

# Leads whose clocks could not be fired for a fault of ours, set aside by the process. Any is a bug: the log.
LEADS_SET_ASIDE = Counter("leadline_leads_set_aside", "Leads the timer set aside.", registry=REGISTRY)

# --- Scoring --------------------------------------------------------------------------------------------

# Activities handled, by what became of them: `read` (known ones too), `bot` (kept, earns nothing) and
# `rejected`. A rising share of `bot` is a crawler or a mail gateway: look at the leads' timelines.
SCORING_ACTIVITIES = Counter(
    "leadline_scoring_activities", "Activities handled by scoring.", ["outcome"], registry=REGISTRY
)

# Leads that a batch of activity touched; far fewer than activities where the same people come again.
SCORING_LEADS = Counter("leadline_scoring_leads", "Leads touched by activity.", registry=REGISTRY)

# Leads that the timer role could not score for a fault of ours, put off for minutes. Any is a bug: the log.
SCORING_PUT_OFF = Counter("leadline_scoring_put_off", "Leads the timer put off.", registry=REGISTRY)
