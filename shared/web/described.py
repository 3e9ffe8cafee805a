"""OpenAPI of a service: FastAPI's, how keys are sent, and what is answered in front of FastAPI."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `Authorization: Bearer KEY`. Scopes: ingest, read, work, admin.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "An API key (scope ingest) as user name, as tracking libraries send it.",
    },
}


class DescribedApp(FastAPI):
    """FastAPI whose document also has `paths_in_front`: path items of endpoints that it does not know."""

    paths_in_front: Mapping[str, Any] = MappingProxyType({})

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["paths"] = {**self.paths_in_front, **document["paths"]}
            document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
            document["security"] = [{"bearer": []}]
        return super().openapi()
