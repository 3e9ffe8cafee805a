"""Reading a request without trusting it: bounded body, gzip by its magic number, headers, keys."""

import base64
import binascii
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope

from services.ingest.domain.activity import Arrival
from services.ingest.domain.plain_values import plain_text, text_or_none
from shared.web.body import ClientGone

_GZIP = b"\x1f\x8b"
# Content codings that are not undone here. Source: IANA HTTP Content Coding Registry. Senders put other words
# there, as `utf-8`; these say nothing of how the body is packed, and must not cost a lead.
_OTHER_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "pack200-gzip", "x-compress", "zstd"}
)
_MAX_MEMBERS = 64
_COOKIE = "ajs_anonymous_id"


class BodyTooLarge(Exception):
    """The body, as sent or unpacked, is over the limit."""


class BodyUnreadable(Exception):
    """The body ends early, or is packed in a way that cannot be unpacked."""


@dataclass(frozen=True, slots=True)
class Head:
    """Headers (names in lower case, as ASGI has them) and query of a request."""

    raw: dict[bytes, bytes]
    query: dict[str, str]
    client: str | None
    scheme: str
    root: str
    request_id: str | None = None

    @staticmethod
    def of(scope: Scope) -> "Head":
        asked = scope.get("query_string", b"")
        client = scope.get("client")
        return Head(
            raw=dict(scope["headers"]),
            query=_query(asked) if asked else {},
            client=client[0] if client else None,
            scheme=scope["scheme"],
            root=scope.get("root_path", ""),
            request_id=scope.get("leadline.request_id"),
        )

    def header(self, name: bytes) -> str:
        """Return the header of that name (in lower case) as plain text, empty where there is none."""
        value = self.raw.get(name)
        return plain_text(value.decode("latin-1")) if value else ""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return all headers as plain text."""
        return [(name.decode("latin-1"), self.header(name)) for name in self.raw]

    @property
    def is_browser(self) -> bool:
        """Whether a page sent it: servers send neither header."""
        return b"origin" in self.raw or b"sec-fetch-site" in self.raw

    @property
    def packed_otherwise(self) -> bool:
        """Whether the body is said to be packed in a way that cannot be undone here."""
        if b"content-encoding" not in self.raw:
            return False
        codings = self.header(b"content-encoding").lower().split(",")
        return not _OTHER_CODINGS.isdisjoint(coding.strip() for coding in codings)

    @property
    def navigates(self) -> bool:
        """Whether a browser shows the answer to a person."""
        if b"sec-fetch-mode" in self.raw:
            return self.header(b"sec-fetch-mode") == "navigate"
        accept = self.header(b"accept")
        return "text/html" in accept and "application/json" not in accept

    def arrival(self, received_at: datetime) -> Arrival:
        """Return how the request came in."""
        return Arrival(
            received_at=received_at,
            ip=self.client,
            user_agent=self._told(b"user-agent", 500),
            referrer=self._told(b"referer", 2000),
            locale=self._language(),
            browser=self.is_browser,
        )

    def _told(self, name: bytes, limit: int) -> str | None:
        value = self.header(name)
        return text_or_none(value[:limit]) if value else None

    def _language(self) -> str | None:
        value = self.header(b"accept-language")
        return text_or_none(value.split(",", 1)[0].split(";", 1)[0].strip()[:35]) if value else None

    def cookie_id(self) -> str | None:
        """Return the anonymous id of the tracking snippet's cookie, as quoted or plain as it may be."""
        # Not by http.cookies: one cookie of somebody else that breaks the rules would hide all of them.
        for cookie in self.header(b"cookie").split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == _COOKIE:
                return text_or_none(unquote(value.strip()).strip('"')[:200])
        return None

    def keys(self) -> Iterator[str]:
        """Yield the keys that the request may mean, the surest first."""
        scheme, _, value = self.header(b"authorization").partition(" ")
        if scheme.lower() == "bearer":
            yield value.strip()
        elif scheme.lower() == "basic":
            yield from _basic(value.strip())
        told = self.header(b"x-write-key")
        yield told
        yield told.partition(":")[0]
        yield self.query.get("writeKey", "")


def _query(asked: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(asked.decode("latin-1"), max_num_fields=100))
    except ValueError:
        return {}


def _basic(value: str) -> Iterator[str]:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return
    yield user
    yield password


async def read_bounded(receive: Receive, limit: int) -> bytes:
    """Return the body, unpacked where it is gzip; raise BodyTooLarge, BodyUnreadable or ClientGone."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            break
    body = b"".join(chunks)
    return _unpacked(body, limit) if body.startswith(_GZIP) else body


def _unpacked(body: bytes, limit: int) -> bytes:
    plain = b""
    # A gzip file may have several members: what follows the first is as much a part of the body.
    for _ in range(_MAX_MEMBERS):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            plain += unpacker.decompress(body, limit + 1 - len(plain))
        except zlib.error as bad:
            raise BodyUnreadable from bad
        if len(plain) > limit:
            raise BodyTooLarge
        if not unpacker.eof:
            raise BodyUnreadable
        body = unpacker.unused_data
        if not body.startswith(_GZIP):
            return plain
    raise BodyUnreadable
