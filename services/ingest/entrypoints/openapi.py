"""OpenAPI path items of ingest's hot doors: they stand in front of FastAPI, which cannot describe them."""

from typing import Any

from shared.contracts.activity import ID_BOUNDS, MAX_ID

Item = dict[str, Any]

_ID = {
    "type": "string",
    "maxLength": MAX_ID,
    "description": f"A message whose id has more than {ID_BOUNDS} is held in quarantine.",
}
_WRITE_KEYS: list[dict[str, list[str]]] = [{"basic": []}, {"bearer": []}, {}]
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "track": ("Something somebody did.", {"event": {"type": "string"}, "properties": {"type": "object"}}),
    "identify": ("Who somebody is.", {"traits": {"type": "object"}}),
    "page": ("A page was seen.", {"name": {"type": "string"}, "properties": {"type": "object"}}),
    "screen": (
        "A screen of an app was seen.",
        {"name": {"type": "string"}, "properties": {"type": "object"}},
    ),
    "group": (
        "Somebody belongs to a company.",
        {"groupId": {"type": "string"}, "traits": {"type": "object"}},
    ),
    "alias": ("Two ids are one person.", {"previousId": _ID}),
}
_MESSAGE: dict[str, Any] = {
    "messageId": {"type": "string", "description": "The same id again is known, and counts once."},
    "anonymousId": _ID,
    "userId": _ID,
    "timestamp": {"type": "string", "format": "date-time"},
    "sentAt": {"type": "string", "format": "date-time"},
    "context": {"type": "object"},
    "writeKey": {"type": "string", "description": "The key, for those who cannot set headers."},
}
_ACCEPTED: dict[str, Any] = {
    "type": "object",
    "required": ["success", "accepted", "quarantined"],
    "properties": {
        "success": {"const": True},
        "accepted": {"type": "integer", "minimum": 0},
        "quarantined": {"type": "array", "items": {"type": "object"}},
    },
}
_SUBMITTED: dict[str, Any] = {
    "type": "object",
    "required": ["success", "submission_id", "state"],
    "properties": {
        "success": {"const": True},
        "submission_id": {"type": "string"},
        "state": {
            "enum": ["accepted", "duplicate", "quarantined", "spooled"],
            "description": "`spooled`: stored on disk while the database is away, and read afterwards.",
        },
        "duplicate_of": {"type": "string"},
        "quarantine_id": {"type": "string"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}


def paths_in_front() -> dict[str, Item]:
    """Return the OpenAPI path items of the tracking doors, the form door, the settings and the site."""
    single = {f"/v1/{kind}": _tracking(kind, *told) for kind, told in _KINDS.items()}
    return {
        **single,
        "/v1/batch": _batch("batch", "Up to 2500 messages of any kind, each with its `type`."),
        "/v1/import": _batch("import", "A batch of the past: its timestamps are taken as they are."),
        "/v1/forms/{source}": _form(),
        "/v1/projects/{write_key}/settings": _settings(),
        "/site": _page("site", "Leads to the example site.", {"303": {"description": "To /site/website"}}),
        "/site/website": _page("site_home", "The example site, which tracks its pages.", _html()),
        "/site/website/demo": _page("site_demo", "The example site's form.", _html()),
    }


def _tracking(kind: str, summary: str, own: dict[str, Any]) -> Item:
    schema = {"type": "object", "properties": {**_MESSAGE, **own}}
    return {"post": _post(kind, summary, schema)}


def _batch(name: str, summary: str) -> Item:
    message = {"type": "object", "properties": {"type": {"enum": sorted(_KINDS)}, **_MESSAGE}}
    schema = {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "items": message, "maxItems": 2500},
            "context": {"type": "object", "description": "Shared by the messages that have none."},
            "writeKey": _MESSAGE["writeKey"],
        },
    }
    return {"post": _post(name, summary, schema)}


def _post(name: str, summary: str, schema: Item) -> Item:
    return {
        "operationId": f"ingest_{name}",
        "summary": summary,
        "description": "As Segment's libraries send it; 200 means stored. A message that cannot be used is"
        " held in quarantine and does not cost its batch.",
        "security": _WRITE_KEYS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": _json("Stored.", _ACCEPTED),
            **_problems("400", "401", "403", "413", "415", "503"),
        },
    }


def _form() -> Item:
    anything = {"schema": {"type": "object"}}
    post = {
        "operationId": "ingest_form",
        "summary": "A form or webhook of a source, in its own words.",
        "description": "Whatever comes is stored first; the sources file says which field is which. A browser"
        " that posts a form is sent on to the source's thank-you page.",
        "security": [{}, {"bearer": []}, {"basic": []}],
        "parameters": [
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
            {
                "name": "key",
                "in": "query",
                "schema": {"type": "string"},
                "description": "If asked for.",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": anything,
                "application/x-www-form-urlencoded": anything,
                "multipart/form-data": anything,
            },
        },
        "responses": {
            "200": _json("Stored.", _SUBMITTED),
            "303": {"description": "Stored; a browser goes on to the thank-you page."},
            **_problems("400", "401", "404", "413", "503"),
        },
    }
    get = {
        "operationId": "ingest_form_check",
        "summary": "Say that the door is there, for webhooks that ask first.",
        "security": [{}],
        "responses": {"200": _json("The source.", {"type": "object"}), **_problems("404")},
    }
    return {"parameters": [_path("source")], "get": get, "post": post}


def _settings() -> Item:
    get = {
        "operationId": "ingest_settings",
        "summary": "What analytics.js asks for before it sends: where to send.",
        "security": [{}],
        "responses": {"200": _json("Settings of the library.", {"type": "object"}), **_problems("404")},
    }
    return {"parameters": [_path("write_key")], "get": get}


def _page(name: str, summary: str, responses: Item) -> Item:
    return {
        "get": {"operationId": f"ingest_{name}", "summary": summary, "security": [{}], "responses": responses}
    }


def _html() -> Item:
    return {"200": {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}}}


def _path(name: str) -> Item:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _json(description: str, schema: Item) -> Item:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> Item:
    problem = {"description": "Problem (RFC 9457)", "content": {"application/problem+json": {}}}
    return dict.fromkeys(statuses, problem)
