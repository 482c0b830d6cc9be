"""What every request passes: its size, its host, its key; and what every answer carries."""

import asyncio
import hmac
import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headway.serving.errors import body_of
from headway.serving.refusal import Refusal
from headway.serving.settings import ServingConfig
from headway.serving.single_file import MOST_SAVED_BYTES

LOCAL = {"127.0.0.1", "localhost", "::1"}
PUBLIC = ("/", "/health", "/docs", "/openapi.json", "/frontend/settings", "/languages")
"""What needs no key: what is the same for everybody. /translate looks for its own."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def is_key(given: str, key: str) -> bool:
    """Whether a key is the right one, alone or after `Bearer`; how long this takes tells nothing of it."""
    scheme, _, rest = given.partition(" ")
    sent = rest if scheme.lower() == "bearer" else given
    return hmac.compare_digest(sent.strip().encode("utf-8", "replace"), key.encode())


class Guard:
    """Stands before the app: refuses what is too large, from elsewhere or without the key."""

    def __init__(self, app: ASGIApp, settings: ServingConfig) -> None:
        self.app, self.settings = app, settings
        wanted = dict(HEADERS)
        if settings.cors:
            wanted["cross-origin-resource-policy"] = "cross-origin"
        self._headers = [(name.encode(), value.encode()) for name, value in wanted.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in self._headers if name not in held]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        try:
            self._check(scope)
            body = await self._body(scope, receive)
        except Refusal as refusal:
            await self._refuse(refusal, scope["path"], send_guarded)
            return
        first = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_read() -> Message:
            return first.pop() if first else await receive()

        await self.app(scope, receive_read, send_guarded)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        host = urlsplit(f"//{headers.get(b'host', b'').decode('latin-1')}").hostname
        if self.settings.host in LOCAL and host not in LOCAL:
            # A page from elsewhere may have had its own name resolved to this machine.
            raise Refusal(403, "this server is for the machine it runs on: ask 127.0.0.1", code="wrong_host")
        path = scope["path"]
        public = path in PUBLIC or path.startswith("/static/") or path == "/translate"
        free = not self.settings.key or public or scope["method"] == "OPTIONS"
        if not free and not is_key(headers.get(b"authorization", b"").decode("latin-1"), self.settings.key):
            raise Refusal(401, "the key is missing or wrong", code="invalid_api_key")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises Refusal as soon as it is too large, or comes too slowly."""
        saved = scope["path"] == "/single-file"  # a page that is saved sends all that it shows
        most = max(MOST_SAVED_BYTES, self.settings.max_body) if saved else self.settings.max_body
        told = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Refusal(413, f"the body has more than {most:,} bytes", code="body_too_large")
        if not told.isdigit() or int(told) > most:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.settings.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "the body ended early")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise too_large
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError as error:
            raise Refusal(408, "the body came too slowly", code="timeout") from error

    async def _refuse(self, refusal: Refusal, path: str, send: Send) -> None:
        content = json.dumps(body_of(refusal, path)).encode()
        headers: Iterable[tuple[bytes, bytes]] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        if refusal.status == 401:
            headers = [*headers, (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
