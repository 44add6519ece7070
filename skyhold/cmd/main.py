# SPDX-License-Identifier: Apache-2.0
"""The `skyhold` command: its sub-commands, each loading only what it needs.

What they do is in the modules beside this one. `skyhold --help` must not import a service.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from skyhold.core.settings.whole import Settings


def settings_of(home: Path | None) -> Settings:
    from skyhold.core.settings.load import load
    from skyhold.core.settings.whole import SettingsError

    try:
        return load(home)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


home_option = click.option(
    "--home", type=click.Path(path_type=Path), envvar="SKYHOLD_HOME", help="The state directory."
)


class Commands(click.Group):
    """Whatever a command meets on a full disk, its user reads a sentence."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from skyhold.cmd.problems import disk_full
            from skyhold.core.settings.load import default_home

            sentence = disk_full(error, home_said() or default_home())
            if sentence is None:
                raise
            raise click.ClickException(sentence) from None


def home_said() -> Path | None:
    """The directory after --home, for a command that ended before anybody could ask it."""
    words = sys.argv
    said = [words[n + 1] for n, word in enumerate(words[:-1]) if word == "--home"]
    said += [word.partition("=")[2] for word in words if word.startswith("--home=")]
    return Path(said[-1]) if said else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Skyhold: the whole of OpenStack as one program."""


@main.command()
@home_option
@click.option("--port", type=int, help="Port of the API; kept for later starts.")
@click.option("--fake", is_flag=True, help="A fake hypervisor and network: no root needed; kept for later starts.")
@click.option("--no-demo", is_flag=True, help="No demo project and no first server.")
@click.option("--image", type=click.Path(path_type=Path), help="The small guest image to offer as `tiny`.")
def up(home: Path | None, port: int | None, fake: bool, no_demo: bool, image: Path | None) -> None:
    """Start the cloud, detached, and prepare it on its first start."""
    from skyhold.cmd import up as command

    sys.exit(command.run(home, port=port, fake=fake, demo=not no_demo, image=image))


@main.command()
@home_option
@click.option("--keep-guests", is_flag=True, help="Leave guests and their network running.")
@click.option("--destroy", is_flag=True, help="Remove the state directory too: everything is lost.")
def down(home: Path | None, keep_guests: bool, destroy: bool) -> None:
    """Stop the cloud."""
    from skyhold.cmd import down as command

    sys.exit(command.run(settings_of(home), keep_guests=keep_guests, destroy=destroy))


@main.command()
@home_option
@click.option("--worker", type=int, hidden=True, help="Be one of several control processes.")
@click.option("--life", type=int, hidden=True, help="A pipe that ends when whoever started us does.")
@click.option("--socket", "sockets", type=int, multiple=True, hidden=True, help="Listen on this open socket.")
def serve(home: Path | None, worker: int | None, life: int | None, sockets: tuple[int, ...]) -> None:
    """Run the control plane in the foreground."""
    from skyhold.cmd import serve as command

    if worker is None or life is None:
        command.run(settings_of(home))
    else:
        command.run_one(settings_of(home), worker, life, sockets)


@main.command()
@home_option
def host(home: Path | None) -> None:
    """Run this machine's host agent in the foreground."""
    from skyhold.cmd import host as command

    sys.exit(command.run(settings_of(home)))


@main.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(home: Path | None, as_json: bool) -> None:
    """Check this machine and say what is wrong, and the remedy."""
    from skyhold.cmd import doctor as command

    sys.exit(command.run(settings_of(home), as_json))


@main.command()
@home_option
def migrate(home: Path | None) -> None:
    """Bring the database to this program's schema."""
    from skyhold.cmd import migrate as command

    sys.exit(command.run(settings_of(home)))


@main.command()
@click.option("--file", "as_file", is_flag=True, help="As a commented settings file.")
def settings(as_file: bool) -> None:
    """Print every setting with its default and meaning."""
    from skyhold.core.settings.describe import default_file, describe

    if as_file:
        click.echo(default_file(), nl=False)
        return
    for one in describe():
        click.echo(f"{one.name} ({one.kind}, default {one.default!r}, {one.variable})\n    {one.meaning}")


@main.group()
def image() -> None:
    """Well-known images for this cloud."""


@image.group("catalogue")
def image_catalogue() -> None:
    """Cloud images by name, fetched from their publishers and verified."""


@image_catalogue.command("list")
def image_catalogue_list() -> None:
    """List what can be imported by name."""
    from skyhold.cmd import images as command

    command.show()


@image_catalogue.command("import")
@home_option
@click.argument("name")
@click.option("--private", is_flag=True, help="For the administrator's project alone.")
@click.option("--accept-change", is_flag=True, help="Also when the publisher changed what was said never to change.")
@click.option("--sha512", default="", metavar="DIGEST", help="Only if the fetched file has this digest as well.")
def image_catalogue_import(home: Path | None, name: str, private: bool, accept_change: bool, sha512: str) -> None:
    """Fetch an image, verify it against its publisher's checksum, and offer it in this cloud."""
    from skyhold.cmd import images as command

    settings = settings_of(home)
    print(command.bring(settings, name, public=not private, accept_change=accept_change, pinned=sha512))


@main.group()
def admin() -> None:
    """For the operator: audit, sagas, the story of a request."""


@admin.command("audit")
@home_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def admin_audit(home: Path | None, as_json: bool) -> None:
    """Compare database, hosts, data plane and placement; print whatever doesn't fit."""
    from skyhold.cmd import audit as command

    sys.exit(command.run(settings_of(home), as_json))


@admin.command("mend")
@home_option
@click.argument("kind")
@click.argument("finding_id")
def admin_mend(home: Path | None, kind: str, finding_id: str) -> None:
    """Set right what the audit found, where its line names this command."""
    from skyhold.cmd import mend as command

    sys.exit(command.run(settings_of(home), kind, finding_id))


@admin.group("saga")
def admin_saga() -> None:
    """The work under way."""


@admin_saga.command("list")
@home_option
def admin_saga_list(home: Path | None) -> None:
    """List live sagas."""
    from skyhold.cmd import sagas as command

    sys.exit(command.table(settings_of(home)))


@admin_saga.command("show")
@home_option
@click.argument("saga_id")
def admin_saga_show(home: Path | None, saga_id: str) -> None:
    """Show a saga: steps done, kept values, error, age."""
    from skyhold.cmd import sagas as command

    sys.exit(command.show(settings_of(home), saga_id))


@admin_saga.command("retry")
@home_option
@click.argument("saga_id")
def admin_saga_retry(home: Path | None, saga_id: str) -> None:
    """Try the step it waits at again, now."""
    from skyhold.cmd import sagas as command

    sys.exit(command.steer(settings_of(home), saga_id, "retry"))


@admin_saga.command("abort")
@home_option
@click.argument("saga_id")
def admin_saga_abort(home: Path | None, saga_id: str) -> None:
    """Undo what it did, and end it."""
    from skyhold.cmd import sagas as command

    sys.exit(command.steer(settings_of(home), saga_id, "abort"))


@admin.command("trace")
@home_option
@click.argument("request_id")
def admin_trace(home: Path | None, request_id: str) -> None:
    """Tell the whole story of a request: journal, sagas and log lines, in order."""
    from skyhold.cmd import trace as command

    sys.exit(command.run(settings_of(home), request_id))


@admin.command("rotate-keys")
@home_option
def admin_rotate_keys(home: Path | None) -> None:
    """New keys for tokens and for secrets at rest; nobody is logged out."""
    from skyhold.cmd import rotate as command

    sys.exit(command.run(settings_of(home)))


@admin.command("restore-access")
@home_option
def admin_restore_access(home: Path | None) -> None:
    """Let the user admin sign in again, whatever was disabled, lost or forgotten; needs no token."""
    from skyhold.cmd import restore as command

    sys.exit(command.run(settings_of(home)))
