"""Pages over several services: each fills its part, none calls another."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request

from leadline.letters import Holder
from leadline.reconcile import across
from shared.contracts.topics import ServiceName
from shared.foundation import READABLE, writable
from shared.runtime import Finding, WiredService
from shared.web.auth import Reader
from shared.web.problem import Problem, unavailable


def router(services: Mapping[ServiceName, WiredService], holders: Mapping[ServiceName, Holder]) -> APIRouter:
    """Return the routes `/v1/status`, `/v1/reconcile` and `/v1/leads/{id}/overview`."""
    routes = APIRouter(prefix="/v1", tags=["operations"])

    @routes.get("/status")
    async def status(_: Reader) -> dict[str, Any]:
        """Counts, lags and ages of every service."""
        stored = await writable(holders["routing"].database)
        if stored is not True and stored not in READABLE:
            raise unavailable("database_unavailable", f"The database {stored}. Try again.")
        parts = await asyncio.gather(*(service.views.status() for service in services.values()))
        return {
            "version": version("leadline"),
            "at": datetime.now(UTC),
            "database": "ok" if stored is True else stored,
            "services": dict(zip(services, parts, strict=True)),
        }

    @routes.get("/reconcile")
    async def reconcile(_: Reader, request: Request) -> dict[str, Any]:
        """Prove from the tables that nothing is lost, doubled or held without a clock."""
        # Whole tables are read; the statement time-out bounds it instead.
        request.scope["leadline.no_deadline"] = True
        parts = await asyncio.gather(*(service.views.reconcile() for service in services.values()))
        findings = [
            finding_body(name, finding)
            for name, part in zip(services, parts, strict=True)
            for finding in part
        ]
        findings += [finding_body("between", finding) for finding in await across(services, holders)]
        return {"ok": not any(finding["problems"] for finding in findings), "findings": findings}

    @routes.get("/leads/{lead_id}/overview")
    async def overview(lead_id: str, _: Reader) -> dict[str, Any]:
        """What every service knows about one lead."""
        parts = await asyncio.gather(*(service.views.lead(lead_id) for service in services.values()))
        known: dict[str, Any] = {
            name: part for name, part in zip(services, parts, strict=True) if part is not None
        }
        if not known:
            raise Problem(404, "not_found", "no service knows this lead")
        return {"lead_id": lead_id, **known}

    return routes


def finding_body(service: str, finding: Finding) -> dict[str, Any]:
    """Return one result of the reconciliation as JSON."""
    return {
        "service": service,
        "check": finding.check,
        "checked": finding.checked,
        "ok": finding.ok,
        "problems": list(finding.problems),
    }
