# SPDX-License-Identifier: Apache-2.0
"""Runs sagas: claims what is due, runs steps, commits each with its outcome, unwinds on failure.

What a saga looks like is core/saga/base.py; its rows are core/saga/rows.py. Any number of
processes may run this at once: a claim raises the fence, and whoever finds another's fence in
its commit stops silently, with everything of that commit rolled back.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from skyhold.core import context, errors, metrics
from skyhold.core.bus import HostUnreachable, StaleFence
from skyhold.core.db.tx import LookAgain
from skyhold.core.saga import rows
from skyhold.core.saga.base import ABORT, CANCEL, Abort, Again, Outcome, Rewind, Saga

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("saga")

SLOTS = 64
IDLE_S = 1.0
RENEW_S = 4.0
LAST_RETRY_S = 30.0
ABORTED = "Aborted by an operator."
UNFORESEEN = "Unforeseen:"
"""Before the words of errors that were not written for users: operators read them, users are told where they stand."""
DUE = "sagas"
"""Said to the other control processes when this one lets go of what it was at."""


class Lost(Exception):
    """Another process claimed this saga: stop silently."""


class Run:
    """One claimed saga, as its steps see it. `kept` is what it remembers; assign to its fields."""

    def __init__(self, core: Core, saga: Saga, row: dict[str, Any]) -> None:
        self.saga = saga
        self.row = row
        self.id: str = row["id"]
        self.subject: str = row["subject"]
        self.fence: int = row["fence"]
        self.kept: Any = None
        self.remember(row["kept"])
        self.error: str = row["error"] or ""
        creds = msgspec.structs.replace(context.INTERNAL, **row["actor"])
        self.ctx = context.Context(core, creds, request_id=row["request_id"])
        self._effects: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def remember(self, kept: Any) -> None:
        """As it is written down."""
        self.kept = msgspec.convert(kept, self.saga.Kept)

    @property
    def key(self) -> str:
        """Names this step of this round of this saga: the same wish carries the same key."""
        return f"{self.id}:{self.row['step']}:{self.row['round']}:{self.row['state']}"

    def then(self, operation: Callable[..., Any], *args: Any) -> None:
        """Run `operation(tx, ctx, *args)` in the commit of this step; it may return an outcome,
        and raise Abort: then nothing of the commit stays."""
        self._effects.append((operation, args))

    async def read(self, operation: Callable[..., Any], *args: Any) -> Any:
        return await self.ctx.read(operation, *args)

    async def call(self, host_id: str, verb: str, body: Any, *, subject: str | None = None) -> Any:
        """A verb under this saga's fence and key; `subject=""` for one that isn't about the saga's
        subject, and so needs no fence."""
        return await self.ctx.core.bus.call(
            host_id, verb, body, subject=self.subject if subject is None else subject,
            fence=self.fence if subject is None else 0, key=self.key, request_id=self.ctx.request_id,
        )

    def take_effects(self) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        effects, self._effects = self._effects, []
        return effects


class Runner:
    """One a control process. `ring` says that something may be due."""

    def __init__(self, core: Core, sagas: list[type[Saga]]) -> None:
        self._core = core
        self._sagas = {saga.kind: saga() for saga in sagas}
        self._bell = asyncio.Event()
        self._running: dict[str, tuple[asyncio.Task[None], int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        core.siblings.on(DUE, self.ring)

    def ring(self) -> None:
        self._bell.set()

    async def start(self) -> None:
        if self._core.db.name == "sqlite":
            await self._internal().write(rows.release_all)
        self._tasks = [asyncio.create_task(self._claim_forever()), asyncio.create_task(self._renew_forever())]

    async def stop(self) -> None:
        """Steps under way are abandoned, and done again by whoever claims them next."""
        held = self._held()
        tasks = [*self._tasks, *(task for task, _ in self._running.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not held:
            return
        try:
            await self._internal().write(rows.release, held)
        except errors.Unavailable as error:
            log.warning("sagas were not let go of: their leases expire", error=error.message)
        else:
            self._core.siblings.tell(DUE)

    async def wait(self, saga_id: str, timeout_s: float) -> str | None:
        """Until a saga ends; its error, None when it went well or takes longer than that."""
        loop = asyncio.get_running_loop()
        end, pause_s = loop.time() + timeout_s, 0.005
        while loop.time() < end:
            ended, error = await self._internal().read(rows.ending, saga_id)
            if ended:
                return error
            await asyncio.sleep(pause_s)
            pause_s = min(0.25, pause_s * 1.5)
        return None

    async def idle(self, timeout_s: float = 60.0) -> bool:
        """Wait until no saga is live; False when time runs out. For tests and graceful ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while loop.time() < end:
            if not self._running and not await self._internal().read(rows.live_subjects):
                return True
            await asyncio.sleep(0.01)
        return False

    def _internal(self) -> Context:
        return context.internal(self._core)

    async def _claim_forever(self) -> None:
        while True:
            self._bell.clear()
            free = SLOTS - len(self._running)
            wait_s = IDLE_S
            if free > 0:
                try:
                    wait_s = await self._claim(free)
                except Exception:
                    log.exception("claiming sagas failed")
            try:
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes with the bell.
                async with asyncio.timeout(wait_s):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def _claim(self, free: int) -> float:
        claimed, next_due_in = await self._internal().write(rows.claim, free)
        for row in claimed:
            task = asyncio.create_task(self._run(row))
            self._running[row["id"]] = (task, row["fence"])
        metrics.SAGAS_LIVE.set(len(self._running))
        if len(claimed) == free:
            # More may be due; slots that came free during this claim are nobody's bell.
            return IDLE_S if len(self._running) >= SLOTS else 0.0
        if next_due_in is None:
            return IDLE_S
        return min(IDLE_S, max(0.0, next_due_in / 1e6) + 0.001)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            if held := self._held():
                try:
                    await self._internal().write(rows.renew, held)
                except Exception:
                    log.exception("renewing leases failed")

    def _held(self) -> list[tuple[str, int]]:
        return [(saga, fence) for saga, (_, fence) in self._running.items()]

    async def _run(self, row: dict[str, Any]) -> None:
        structlog.contextvars.bind_contextvars(request_id=row["request_id"], saga=row["id"], kind=row["kind"])
        ended = False
        try:
            run = Run(self._core, self._sagas[row["kind"]], row)
            while await self._advance(run):
                pass
            ended = run.row["ended_at"] is not None
        except Lost:
            log.info("saga taken over by another process")
        except StaleFence as stale:
            log.info("a host refused this saga's fence", fence=row["fence"], heard=stale.heard)
            await self._internal().write(rows.outrun, row["id"], row["fence"], stale.heard)
        except Exception:
            # The commit itself failed; the lease ends and the step is done again.
            log.exception("saga commit failed")
        finally:
            full = len(self._running) >= SLOTS
            if self._running.get(row["id"], (None, 0))[1] == row["fence"]:
                del self._running[row["id"]]
            metrics.SAGAS_LIVE.set(len(self._running))
            if full or not ended:
                # Others may wait for its slot, or it is due again sooner than anything else.
                self.ring()

    async def _advance(self, run: Run) -> bool:
        """One step and its commit; False when the saga is done or sleeps."""
        if run.row["signal"] == ABORT and not run.error.startswith(ABORTED):
            run.error = f"{ABORTED} {run.error}".strip()
        if run.row["state"] == "running" and run.row["signal"]:
            run.row["state"] = "undoing"
        forward = run.row["state"] == "running"
        outcome, problem = await self._step(run, forward)
        if problem is not None:
            return await self._save_problem(run, problem, forward)
        try:
            return await self._save(run, outcome, run.take_effects(), forward)
        except (Lost, errors.OutcomeUnknown):
            # What is saved now must not go back behind what may have been saved.
            raise
        except Exception as error:
            return await self._save_problem(run, error, forward)

    async def _step(self, run: Run, forward: bool) -> tuple[Outcome, Exception | None]:
        left_s = (run.row["deadline_at"] - run.ctx.now) / 1e6 if forward else None
        if left_s is not None and left_s < 0:
            return None, given_up(run)
        name = run.row["step"] if forward else undoing(run.row)
        step = getattr(run.saga, name if forward else f"undo_{name}", None)
        if step is None:
            return None, None
        try:
            # One that hangs must not hold the saga beyond its deadline: its lease is renewed all the time.
            async with asyncio.timeout(left_s) as limit:
                outcome = await step(run)
        except (Lost, StaleFence):
            raise
        except Exception as error:
            run.take_effects()
            return None, given_up(run) if limit.expired() else error
        metrics.SAGA_STEPS.labels(run.row["kind"], name, "Done" if outcome is None else type(outcome).__name__).inc()
        return outcome, None

    # ---- commits -------------------------------------------------------------------------

    async def _save(self, run: Run, outcome: Outcome, effects: Any, forward: bool) -> bool:
        if effects or outcome is not None or not forward or not await self._moved_on(run):
            kept = msgspec.to_builtins(run.kept)
            try:
                run.row = await run.ctx.write(self._commit, run, kept, outcome, effects, forward)
            except BaseException:
                run.remember(kept)
                raise
        return run.row["ended_at"] is None and run.row["lease_until"] > 0

    async def _moved_on(self, run: Run) -> bool:
        """A step that changed nothing in the database, and isn't the last, needs no transaction to go on from."""
        row = run.row | remembered(run)
        advance(row, run.saga.steps_of(run.kept), None)
        if row["signal"] or not row["step"]:
            return False
        if await run.ctx.change(rows.SAVES[True, True], saved(row) | {"known_due_at": row["due_at"]}) != 1:
            return False
        run.row = row
        return True

    def _commit(
        self, tx: Tx, ctx: Context, run: Run, kept: Any, outcome: Outcome, effects: Any, forward: bool
    ) -> dict[str, Any]:
        """Effects first, then the saga's row: the order in which operations lock them too."""
        # Effects may change what is kept, and this may not be the first try.
        run.remember(kept)
        for operation, args in effects:
            answer = operation(tx, ctx, *args)
            outcome = answer if isinstance(answer, Again | Rewind) else outcome
        row = dict(run.row)
        # Nearly always nothing came meanwhile; writing the row tells, and it need not be read first.
        unread = not (tx.careful or row["signal"])
        following, woken = (None, False) if unread else self._read_back(tx, row)
        row |= remembered(run)
        if isinstance(outcome, Again):
            if not (forward and row["signal"]):
                self._sleep(tx, row, outcome.seconds, woken)
        elif forward:
            advance(row, run.saga.steps_of(run.kept), outcome)
        else:
            retreat(row)
        if row["step"] == "":
            self._end(tx, ctx, run, row)
        self._store(tx, row, run.row["due_at"] if unread else None)
        if row["ended_at"] is not None:
            self._follow(tx, row, following)
        return row

    def _read_back(self, tx: Tx, row: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
        """Take in a signal that came meanwhile: what is to follow this saga, and whether it was woken."""
        back = tx.first(rows.READ_BACK, {"saga": row["id"]})
        if back is None or back.fence != row["fence"]:
            raise Lost
        row["signal"] = back.signal
        return back.then, back.due_at != row["due_at"]

    def _sleep(self, tx: Tx, row: dict[str, Any], seconds: float, woken: bool) -> None:
        """Let go of the saga until then; not at all when its child ended during this very step."""
        wait_us = 0 if woken else int(seconds * 1e6)
        due_at = tx.now + wait_us
        if row["state"] == "running":
            due_at = min(due_at, row["deadline_at"] + 1)
        row |= {"due_at": due_at, "lease_until": 0}

    def _end(self, tx: Tx, ctx: Context, run: Run, row: dict[str, Any]) -> None:
        if row["state"] == "running" and row["signal"]:
            # A signal during the last step: its result stays, then everything is unwound.
            row |= {"state": "undoing", "step": run.saga.steps[-1]}
            return
        if row["state"] == "running":
            run.saga.ended(tx, ctx, run)
        elif row["signal"] == CANCEL:
            run.saga.cancelled(tx, ctx, run)
        else:
            run.saga.failed(tx, ctx, run)
        row |= {
            "state": "ended" if row["state"] == "running" else "failed",
            "ended_at": tx.now, "due_at": None, "lock_name": None,
        }

    def _follow(self, tx: Tx, row: dict[str, Any], following: dict[str, Any] | None) -> None:
        """Start the superseding saga (the lock is free now) and wake the parent."""
        if following:
            fence = max(tx.now, row["fence"] + 1)
            tx.execute(rows.INSERT, following | {"due_at": tx.now, "fence": fence})
        if row["parent_id"]:
            tx.execute(rows.WAKE, {"saga": row["parent_id"], "now": tx.now})
        if following or row["parent_id"]:
            tx.after_commit(self.ring)

    def _store(self, tx: Tx, row: dict[str, Any], known_due_at: int | None = None) -> None:
        """The lease of a saga that goes on is renewed apart (`rows.renew`). With `known_due_at` the row was not read
        back: it must have no signal by now, nor be due at another time."""
        goes_on = bool(row["lease_until"] and row["ended_at"] is None)
        unread = known_due_at is not None
        known = {"known_due_at": known_due_at} if unread else {}
        if tx.changed(rows.SAVES[goes_on, unread], saved(row) | known) != 1:
            raise LookAgain if unread else Lost

    async def _save_problem(self, run: Run, problem: Exception, forward: bool) -> bool:
        """Abort unwinds; anything else is tried again, later and later, until the deadline."""
        final = isinstance(problem, Abort | errors.Error) and not isinstance(problem, errors.Unavailable)
        if final and forward:
            run.row |= {"state": "undoing", "error": str(problem)}
            run.error = str(problem)
            log.info("saga aborts", step=run.row["step"], error=str(problem))
            return True
        row = run.row
        row["attempt"] += 1
        foreseen = isinstance(problem, Abort | errors.Error | HostUnreachable)
        row["error"] = str(problem) if foreseen else f"{UNFORESEEN} {str(problem) or repr(problem)}"
        if not isinstance(problem, HostUnreachable):
            log.warning("step failed", step=row["step"], attempt=row["attempt"],
                        trace="".join(traceback.format_exception(problem)))
        pause_s = min(LAST_RETRY_S, 0.1 * 2 ** min(row["attempt"], 9)) * random.uniform(0.5, 1)  # noqa: S311
        await run.ctx.write(self._postpone, row, pause_s)
        return False

    def _postpone(self, tx: Tx, ctx: Context, row: dict[str, Any], pause_s: float) -> None:
        row = dict(row)
        _, woken = self._read_back(tx, row)
        self._sleep(tx, row, pause_s, woken or bool(row["signal"] and row["state"] == "running"))
        self._store(tx, row)


def remembered(run: Run) -> dict[str, Any]:
    """What a step that went well leaves in the saga's row, wherever it goes on."""
    return {"kept": msgspec.to_builtins(run.kept), "attempt": 0, "error": run.error or None}


def saved(row: dict[str, Any]) -> dict[str, Any]:
    """The parameters of each of `rows.SAVES`."""
    return {name: row[name] for name in rows.SAVE_NAMES} | {"saga": row["id"], "held_fence": row["fence"]}


def given_up(run: Run) -> Abort:
    log.error("saga passed its deadline", step=run.row["step"], error=run.error)
    minutes = run.saga.deadline_s / 60
    trouble = run.error
    if trouble.startswith(UNFORESEEN):
        trouble = f"Something went wrong on our side. The operator finds it in the log under {run.row['request_id']}."
    return Abort(f"This took longer than {minutes:g} minutes and was given up. {trouble}".strip())


def advance(row: dict[str, Any], steps: list[str], outcome: Outcome) -> None:
    """After a step forward: on to the next (`""` at the end), or back to undo."""
    if isinstance(outcome, Rewind):
        if outcome.step not in (*row["done"], row["step"]):
            raise ValueError(f"{row['kind']} can't rewind from {row['step']} to {outcome.step}")
        row |= {"state": "rewinding:" + outcome.step, "round": row["round"] + 1}
        return
    row["done"] = [*row["done"], row["step"]]
    following = steps.index(row["step"]) + 1
    row["step"] = steps[following] if following < len(steps) else ""


def retreat(row: dict[str, Any]) -> None:
    """After an undo: to the step before, forward again from a rewind's target, or to the end."""
    undone = undoing(row)
    row["done"] = [step for step in row["done"] if step != undone]
    if row["state"] == "rewinding:" + undone:
        row |= {"state": "running", "step": undone}
    else:
        row["step"] = row["done"][-1] if row["done"] else ""


def undoing(row: dict[str, Any]) -> str:
    """The step to undo now: one under way counts as done, for its effect may be half there."""
    step: str = row["step"]
    if step not in row["done"]:
        return step
    return str(row["done"][-1])
