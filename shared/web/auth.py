"""Who calls: API keys by `Authorization: Bearer` (Basic too on the tracking doors), and their scopes.

While the database is away, keys seen before go on working (`key_cache.py`); an unknown one hears 503 and
tries again, never 401, on which SDKs drop their batch for ever.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope as AsgiScope

from shared.web.api_key import (
    MAX_TOKEN,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    SCOPES,
    ApiKey,
    KeyScope,
)
from shared.web.parameters import refuse_unknown_parameters
from shared.web.problem import Problem

__all__ = [
    "MAX_TOKEN",
    "PRIVATE_PREFIX",
    "PUBLIC_PREFIX",
    "SCOPES",
    "Admin",
    "ApiKey",
    "Authenticate",
    "KeyScope",
    "Reader",
    "Worker",
    "authenticate_asgi",
    "check_scope",
    "require",
    "token_of",
    "unauthorized",
]

# Finds the key of a token; raises Problem 401 (unknown, expired, revoked) or 503 (cannot be looked up).
Authenticate = Callable[[str], Awaitable[ApiKey]]


def token_of(authorization: str, *, basic: bool = False) -> str:
    """Return the token of an Authorization header; raise Problem 401 where there is none.

    `basic` also accepts Basic: the key as user name, as Segment's libraries send it.
    """
    kind, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if kind.lower() == "bearer" and rest:
        return rest
    if basic and kind.lower() == "basic" and rest:
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise unauthorized("The Basic credentials cannot be read.") from None
        if user or password:
            return user or password
    wanted = "Bearer or Basic" if basic else "Bearer"
    raise unauthorized(f"Send an API key: `Authorization: {wanted} …`.")


def unauthorized(detail: str) -> Problem:
    """Return the 401 of a missing, unknown, expired or revoked key (which of them is not told)."""
    return Problem(401, "unauthorized", detail, headers={"www-authenticate": "Bearer"})


def check_scope(key: ApiKey, scope: KeyScope) -> ApiKey:
    """Return `key` if it has `scope`; raise Problem 403 otherwise."""
    if not key.allows(scope):
        raise Problem(403, "wrong_scope", f"This key lacks the scope `{scope}`.", extra={"scope": scope})
    return key


async def authenticate_asgi(
    authenticate: Authenticate, asgi: AsgiScope, scope: KeyScope, *, basic: bool = False
) -> ApiKey:
    """Authenticate a hot (pure ASGI) request: `key = await authenticate_asgi(keys.find, scope, "ingest")`."""
    for name, value in asgi["headers"]:
        if name == b"authorization":
            token = token_of(value.decode("latin-1"), basic=basic)
            return check_scope(await authenticate(token), scope)
    raise unauthorized("Send an API key in the Authorization header.")


def require(scope: KeyScope, *, basic: bool = False) -> Callable[[Request], Awaitable[ApiKey]]:
    """Return the FastAPI dependency for `scope`: `key: Annotated[ApiKey, Depends(require("work"))]`.

    The application must have been made by `create_app(..., authenticate=...)`. All endpoints meet here,
    behind the key: unknown query parameters are refused for all of them, and told to nobody without a key.
    """

    async def dependency(request: Request) -> ApiKey:
        token = token_of(request.headers.get("authorization", ""), basic=basic)
        authenticate: Authenticate = request.app.state.authenticate
        key = check_scope(await authenticate(token), scope)
        refuse_unknown_parameters(request)
        return key

    return dependency


Reader = Annotated[ApiKey, Depends(require("read"))]
Worker = Annotated[ApiKey, Depends(require("work"))]
Admin = Annotated[ApiKey, Depends(require("admin"))]
