"""The services' OpenAPI documents become one that still says what each said."""

from typing import Any

from leadline.openapi import merge


def document(path: str, **schemas: Any) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{next(iter(schemas))}"}
    return {"paths": {path: {"get": {"schema": reference}}}, "components": {"schemas": schemas}}


def test_paths_and_schemas_of_all_services_are_in_the_merged_document() -> None:
    merged = merge(
        "Leadline",
        "1",
        {"ingest": document("/v1/track", Event={}), "scoring": document("/v1/leads", Lead={})},
    )
    assert set(merged["paths"]) == {"/v1/track", "/v1/leads"}
    assert merged["paths"]["/v1/track"]["get"]["tags"] == ["ingest"]
    assert set(merged["components"]["schemas"]) == {"Event", "Lead"}


def test_two_schemas_of_one_name_are_kept_apart_and_their_references_follow() -> None:
    merged = merge(
        "Leadline",
        "1",
        {
            "ingest": document("/v1/track", Page={"type": "object"}),
            "scoring": document("/v1/leads", Page={"type": "array"}),
        },
    )
    assert merged["components"]["schemas"] == {"Page": {"type": "object"}, "ScoringPage": {"type": "array"}}
    reference = merged["paths"]["/v1/leads"]["get"]["schema"]["$ref"]
    assert reference == "#/components/schemas/ScoringPage"


def test_a_schema_that_all_share_stays_one() -> None:
    problem = {"title": "Problem"}
    merged = merge(
        "Leadline", "1", {"a": document("/a", Problem=problem), "b": document("/b", Problem=problem)}
    )
    assert merged["components"]["schemas"] == {"Problem": problem}
