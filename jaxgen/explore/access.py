"""Who may ask: requests that carry the token of the printed address, from pages of this server alone.

A page of another site can send requests to this machine.  It does not know the token; and where its name was made to
point here, the header Host tells (DNS rebinding).
"""

import hmac

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN = "x-token"


class Access:
    """Refuses requests to /api without the token, and all requests with another Host or Origin.

    Without `hosts` any Host will do: a machine may have names that it does not know.  Without a token none is
    asked for.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: frozenset[str] | None):
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 with a line, or passes the request on."""
        if scope["type"] == "http" and (reason := self._refusal(scope)):
            await PlainTextResponse(reason + "\n", 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.hosts is not None and host not in self.hosts:
            return "This server answers at the address that it printed."
        if origin is not None and origin.partition("://")[2] != host:
            return "This server answers its own page alone."
        if self.token is None or not scope["path"].startswith("/api/"):
            return ""
        given = headers.get(TOKEN, "").encode("latin-1", "replace")
        return "" if hmac.compare_digest(given, self.token.encode()) else "The token of the printed address is missing."
