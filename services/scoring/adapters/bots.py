"""Which activity no person did: crawlers by user agent, mail scanners by how they follow links."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from crawlerdetect import CrawlerDetect

from shared.contracts.activity import ActivityRecorded

# Gateways that open and follow every link of a mail before the reader sees it; some name themselves.
MAIL_SCANNERS = (
    "barracuda",
    "proofpoint",
    "mimecast",
    "safelinks",
    "trendmicro",
    "ironport",
    "symantec",
    "messagelabs",
)
# Nobody reads a mail and clicks within this time of its delivery; scanners do, and at once.
FASTEST_READER = timedelta(seconds=5)
MAIL_EVENTS = frozenset({"email opened", "email clicked", "email link clicked"})

_detector = CrawlerDetect()


@lru_cache(maxsize=20_000)
def _agent_verdict(user_agent: str) -> str | None:
    lowered = user_agent.lower()
    if any(name in lowered for name in MAIL_SCANNERS):
        return "mail_scanner"
    return "crawler" if _detector.isCrawler(user_agent) else None


def bot_verdict(activity: ActivityRecorded) -> str | None:
    """Return `crawler` or `mail_scanner` where no person acted, else None; depends on this event alone."""
    agent = activity.context.user_agent
    verdict = _agent_verdict(agent[:500]) if agent else None
    if verdict is None and activity.kind == "track" and activity.name.lower() in MAIL_EVENTS:
        delivered = _instant(activity.properties.get("delivered_at") or activity.properties.get("sent_at"))
        if delivered is not None and timedelta(0) <= activity.occurred_at - delivered < FASTEST_READER:
            return "mail_scanner"
    return verdict


def _instant(value: Any) -> datetime | None:
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo is not None else None
