# SPDX-License-Identifier: Apache-2.0
"""Server actions: `POST /servers/{server_id}/action`, a body with one key.

Each of these either decides at once (ops.py) or starts a saga through transitions.py and images.py.
"""

from __future__ import annotations

from skyhold.compute import policy, versions
from skyhold.compute.servers import console, images, ops, shape, transitions
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes

ACTION = "/v2.1/servers/{server_id}/action"

routes = Routes()


@routes.action(ACTION, "os-start", policy=policy.START)
async def start(ctx: Context, server_id: str) -> None:
    """Start a stopped server."""
    await ctx.write(transitions.begin, server_id, transitions.START)


@routes.action(ACTION, "os-stop", policy=policy.STOP)
async def stop(ctx: Context, server_id: str) -> None:
    """Stop a server: asked first, cut off when it doesn't answer."""
    await ctx.write(transitions.begin, server_id, transitions.STOP)


@routes.action(ACTION, "pause", policy=policy.PAUSE)
async def pause(ctx: Context, server_id: str) -> None:
    """Freeze a server in memory."""
    await ctx.write(transitions.begin, server_id, transitions.PAUSE)


@routes.action(ACTION, "unpause", policy=policy.UNPAUSE)
async def unpause(ctx: Context, server_id: str) -> None:
    """Let a paused server go on."""
    await ctx.write(transitions.begin, server_id, transitions.UNPAUSE)


@routes.action(ACTION, "suspend", policy=policy.SUSPEND)
async def suspend(ctx: Context, server_id: str) -> None:
    """Save a server's memory to disk and stop it."""
    await ctx.write(transitions.begin, server_id, transitions.SUSPEND)


@routes.action(ACTION, "resume", policy=policy.RESUME)
async def resume(ctx: Context, server_id: str) -> None:
    """Bring a suspended server back as it was."""
    await ctx.write(transitions.begin, server_id, transitions.RESUME)


@routes.action(ACTION, "reboot", policy=policy.REBOOT, body=shape.Reboot)
async def reboot(ctx: Context, server_id: str, want: shape.Reboot) -> None:
    """Reboot a server, softly or hard."""
    await ctx.write(transitions.begin_reboot, server_id, want.type.upper() == "HARD")


@routes.action(ACTION, "lock", policy=policy.LOCK, body=shape.Lock | None)
async def lock(ctx: Context, server_id: str, want: shape.Lock | None) -> None:
    """Lock a server against changes by its members."""
    await ctx.write(ops.lock, server_id, None if want is None else want.locked_reason)


@routes.action(ACTION, "unlock", policy=policy.UNLOCK)
async def unlock(ctx: Context, server_id: str) -> None:
    """Unlock a server."""
    await ctx.write(ops.unlock, server_id)


@routes.action(ACTION, "addSecurityGroup", policy=policy.ADD_GROUP, body=shape.GroupAction)
async def add_group(ctx: Context, server_id: str, want: shape.GroupAction) -> None:
    """Put all of a server's ports into a security group."""
    await ctx.write(ops.add_group, server_id, want.name)


@routes.action(ACTION, "removeSecurityGroup", policy=policy.REMOVE_GROUP, body=shape.GroupAction)
async def remove_group(ctx: Context, server_id: str, want: shape.GroupAction) -> None:
    """Take all of a server's ports out of a security group."""
    await ctx.write(ops.remove_group, server_id, want.name)


@routes.action(ACTION, "createImage", policy=policy.CREATE_IMAGE, body=shape.CreateImage)
async def create_image(ctx: Context, server_id: str, want: shape.CreateImage) -> Reply:
    """Make an image of a server's root disk."""
    image_id = await ctx.write(images.begin, server_id, want)
    if ctx.version >= versions.IMAGE_ID_IN_BODY:
        return Reply({"image_id": image_id})
    return Reply(headers={"Location": f"{ctx.core.settings.public_url}/image/v2/images/{image_id}"})


@routes.action(ACTION, "os-getConsoleOutput", policy=policy.CONSOLE_OUTPUT, body=shape.ConsoleOutput, status=200)
async def console_output(ctx: Context, server_id: str, want: shape.ConsoleOutput) -> dict[str, str]:
    """The last lines of a server's serial console."""
    return {"output": await console.read(ctx, server_id, want.length)}


@routes.action(ACTION, "os-resetState", policy=policy.RESET_STATE, body=shape.ResetState)
async def reset_state(ctx: Context, server_id: str, want: shape.ResetState) -> None:
    """Set a server's state by an administrator's word."""
    await ctx.write(ops.reset_state, server_id, want.state)
