"""One OpenAPI document out of the services' own: paths side by side, schemas of one name kept apart."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2
from starlette.types import ASGIApp

Document = dict[str, Any]


async def fetch_document(app: ASGIApp) -> Document:
    """Return the OpenAPI document that an application serves, an empty one where it serves none."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://leadline") as client:
        answer = await client.get("/openapi.json")
    return answer.json() if answer.is_success else {}


def merge(title: str, version: str, documents: Mapping[str, Document]) -> Document:
    """Return one document; a schema whose name another service uses differently gets its service's name."""
    merged: Document = {"openapi": "3.1.0", "info": {"title": title, "version": version}, "paths": {}}
    components: dict[str, dict[str, Any]] = {}
    for service, document in documents.items():
        document = _renamed(service, document, components.get("schemas", {}))
        for path, operations in document.get("paths", {}).items():
            tagged = {
                method: {**operation, "tags": [service]} if isinstance(operation, dict) else operation
                for method, operation in operations.items()
            }
            merged["paths"].setdefault(path, tagged)
        for kind, entries in document.get("components", {}).items():
            components.setdefault(kind, {}).update(entries)
        # Every service asks for keys alike; where an operation does not, it says so itself.
        merged.update({name: document[name] for name in ("security",) if name in document})
    merged["components"] = components
    return merged


def _renamed(service: str, document: Document, taken: Mapping[str, Any]) -> Document:
    schemas = document.get("components", {}).get("schemas", {})
    clashes = [name for name, schema in schemas.items() if name in taken and taken[name] != schema]
    if not clashes:
        return document
    text = json.dumps(document)
    for name in clashes:
        text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{_own(service, name)}"')
    renamed: Document = json.loads(text)
    schemas = renamed["components"]["schemas"]
    for name in clashes:
        schemas[_own(service, name)] = schemas.pop(name)
    return renamed


def _own(service: str, name: str) -> str:
    return f"{service.capitalize()}{name}"
