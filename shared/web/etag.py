"""ETag and If-Match where two may write the same thing."""

from starlette.requests import Request

from shared.web.problem import Problem


def etag(version: str | int) -> str:
    """Return the ETag header of a resource at `version`."""
    return f'"{version}"'


def check_if_match(request: Request, version: str | int, *, required: bool = False) -> None:
    """Raise Problem 412 where If-Match names another version, 428 where it is required and missing."""
    given = request.headers.get("if-match")
    if given is None:
        if required:
            raise Problem(428, "if_match_required", "Send If-Match with the ETag you last read.")
        return
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    if "*" not in tags and etag(version) not in tags:
        raise Problem(
            412,
            "changed_meanwhile",
            "Somebody changed it after you read it; read it again.",
            headers={"etag": etag(version)},
        )
