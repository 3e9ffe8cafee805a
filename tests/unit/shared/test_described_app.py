"""The OpenAPI document says how keys are sent, and names endpoints that FastAPI does not know."""

from typing import Any

from leadline.openapi import merge
from services.ingest.entrypoints.hot import hot_paths
from services.ingest.entrypoints.openapi import paths_in_front
from shared.web.app import create_app
from shared.web.described import SECURITY_SCHEMES


async def nobody(_token: str) -> Any:
    raise AssertionError("no key is asked for here")


def test_keys_and_paths_in_front_are_described() -> None:
    app = create_app("Leadline ingest", authenticate=nobody)
    app.paths_in_front = paths_in_front()
    document = app.openapi()
    assert document["components"]["securitySchemes"] == SECURITY_SCHEMES
    assert document["security"] == [{"bearer": []}]
    assert document["paths"]["/v1/track"]["post"]["operationId"] == "ingest_track"
    assert app.openapi() is document


def test_the_merged_document_asks_for_keys_too() -> None:
    app = create_app("Leadline ingest", authenticate=nobody)
    merged = merge("Leadline", "1", {"ingest": app.openapi()})
    assert merged["security"] == [{"bearer": []}]
    assert merged["components"]["securitySchemes"] == SECURITY_SCHEMES


def test_every_path_that_is_described_is_answered_by_a_hot_door() -> None:
    stand_in: Any = object()
    answered = hot_paths(stand_in, stand_in, stand_in, public_url=None)
    exact = {(method, path) for method, path in answered if not path.endswith("/*")}
    below = [(method, path[:-1]) for method, path in answered if path.endswith("/*")]
    for path, item in paths_in_front().items():
        for method in item.keys() - {"parameters"}:
            asked = (method.upper(), path)
            assert asked in exact or any(asked[0] == m and path.startswith(p) for m, p in below), asked


def test_operations_have_ids_of_their_own_and_name_their_parameters() -> None:
    seen: set[str] = set()
    for path, item in paths_in_front().items():
        named = {parameter["name"] for parameter in item.get("parameters", [])}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in (item[method] for method in item.keys() - {"parameters"}):
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])
