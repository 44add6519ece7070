# SPDX-License-Identifier: Apache-2.0
"""The few pages that identity shows to browsers itself, and their one script.

They are plain: no inline script or style, everything that came from outside escaped, nothing loaded from
elsewhere, no frame around them. Where a form goes is named in the policy of the page that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlsplit

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.identity import links

routes = Routes()
SCRIPT = "/v3/auth/OS-FEDERATION/submit.js"
STYLE = "/v3/auth/OS-FEDERATION/page.css"


@routes.get(SCRIPT, policy=PUBLIC)
async def script(ctx: Context) -> Reply:
    """The script of pages whose one form sends itself."""
    return Reply(b"document.forms[0].submit();\n", headers=SAFE, content_type="text/javascript; charset=utf-8")


@routes.get(STYLE, policy=PUBLIC)
async def style(ctx: Context) -> Reply:
    """How the pages look."""
    return Reply(CSS, headers=SAFE, content_type="text/css; charset=utf-8")


SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
CSS = b"""\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; margin: 15vh auto; padding: 0 1rem; color: #222; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
input { padding: .4rem; margin: 0 0 1rem; border: 1px solid #888; border-radius: .2rem; }
button { padding: .5rem; border: 0; border-radius: .2rem; background: #235; color: #fff; cursor: pointer; }
.problem { color: #a00; }
"""


def page(
    ctx: Context, title: str, body: str, *, forms_to: Sequence[str] = (), script: bool = False, status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """`body` is HTML that its maker has escaped; `forms_to` are URLs that a form on it may be sent to."""
    base = links.base(ctx).removesuffix("/v3")
    source = f'\n<script src="{escape(base + SCRIPT)}"></script>' if script else ""
    html = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<link rel="stylesheet" href="{escape(base + STYLE)}"></head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{body}{source}\n</body>\n</html>\n"
    )
    own = origin_of(base)
    policy = "; ".join((
        "default-src 'none'", f"style-src {own}", f"script-src {own}" if script else "script-src 'none'",
        "form-action " + (" ".join(dict.fromkeys(map(origin_of, forms_to))) or "'none'"), "base-uri 'none'",
        "frame-ancestors 'none'",
    ))
    told = {**SAFE, "Content-Security-Policy": policy, "Cache-Control": "no-store", **(headers or {})}
    return Reply(html.encode(), status=status, headers=told, content_type="text/html; charset=utf-8")


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def sends_itself(ctx: Context, title: str, to: str, fields: Mapping[str, str], **more: str) -> Reply:
    """A page that posts these fields to another address; with a button for browsers without scripts."""
    hidden = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    body = f'<form method="post" action="{escape(to)}">\n{hidden}\n<button type="submit">Continue</button>\n</form>'
    return page(ctx, title, body, forms_to=[to], script=True, headers=more)


def choice(ctx: Context, title: str, places: Sequence[tuple[str, str]]) -> Reply:
    """(what it is called, its address) to choose from."""
    items = "\n".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in places)
    return page(ctx, title, f"<ul>\n{items}\n</ul>")


def redirect(to: str, **more: str) -> Reply:
    return Reply(status=302, headers={"Location": to, "Cache-Control": "no-store", **SAFE, **more})
