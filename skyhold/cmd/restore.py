# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin restore-access`: lets the administrator in again who locked everybody out.

What is put right is identity/restoring.py. It goes to the database itself, because the API would ask for the token that
nobody gets; the control plane may run meanwhile, or not.
"""

from __future__ import annotations

import asyncio
import sys

from skyhold.core.settings.whole import Settings


def run(settings: Settings) -> int:
    """Prints what was put right; the password is the one in the file `admin-password`."""
    from skyhold.core import errors

    try:
        password = (settings.home / "admin-password").read_text().strip()
    except FileNotFoundError:
        sys.exit(f"There is no cloud in {settings.home}: name another with --home.")
    if not password:
        sys.exit(f"{settings.home / 'admin-password'} is empty: write the password into it that admin is to have.")
    try:
        told = asyncio.run(restored(settings, password))
    except errors.Error as refused:
        sys.exit(refused.message)
    print("\n".join(told) or "Nothing was in the way: admin can sign in with the password kept in the state directory.")
    return 0


async def restored(settings: Settings, password: str) -> list[str]:
    from skyhold.cmd.compose import control_plane
    from skyhold.core.db.engine import open_database
    from skyhold.identity import facade as identity

    core = control_plane(settings)
    core.db = await open_database(settings.database_url)
    try:
        return await identity.restore_access(core, password=password)
    finally:
        await core.db.close()
