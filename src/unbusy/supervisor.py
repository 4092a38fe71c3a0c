"""`unbusy up`: the database, the gateways and the worker, watched over by one small process.

    supervisor ─┬─ postgres          started first, stopped last
                ├─ gateway 1 … n     forked; all accept from one listening socket
                ├─ worker            forked
                └─ sandbox bank      forked, in a demo

The supervisor holds the listening socket, so that connections made while a gateway is being
replaced wait instead of being refused. It has imported everything before it forks, so that the
replacement serves after a few hundredths of a second instead of after more than one. It runs one thread and
no event loop: it sleeps until a signal says that a child died or that it should stop. Children do
not outlive it: the kernel ends them when it dies, however it dies.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from unbusy import telemetry
from unbusy.db.embedded import Server
from unbusy.db.privileges import stop_with_parent
from unbusy.errors import SetupError

log = structlog.get_logger(__name__)

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = {signal.SIGCHLD, *_STOP_SIGNALS}

# A child that dies before it serves is tried again after a pause that doubles up to this.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
# A database server that ran for so long had begun well.
_A_LIFE_S = 1.0
# How often to look whether a child that is starting serves yet.
_GLANCE_S = 0.02
# Gateways finish what is under way within ten seconds by themselves.
_STOP_TIMEOUT_S = 12.0


class _Pause:
    """The time before the next attempt: none after a life, a growing one after each that was none.

    One that served is replaced at once, however short its life: only one that cannot even begin
    would keep the machine busy with its attempts.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._over_at = 0.0

    def begin(self, *, has_lived: bool) -> None:
        self._seconds = 0.0 if has_lived else min(max(_FIRST_PAUSE_S, 2 * self._seconds), _LONGEST_PAUSE_S)
        self._over_at = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds until it is over."""
        return max(0.0, self._over_at - time.monotonic())


class Child:
    """A process of ours, forked again whenever it dies.

    `main` is its whole life; it calls the function it is given as soon as it serves.
    """

    def __init__(self, name: str, main: Callable[[Callable[[], None]], None]) -> None:
        self.name = name
        self.pid: int | None = None
        self.serves = False
        # It died before it ever served: its settings or the installation are wrong, not its luck.
        self.is_stillborn = False
        self._has_served = False
        self._main = main
        self._pause = _Pause()
        self._news = -1
        self._was_told = False

    @property
    def is_due(self) -> bool:
        return self.pid is None and not self._pause.left()

    @property
    def due_in(self) -> float | None:
        """Seconds until there is something to do about it, None when only its death would be news."""
        if self.pid is None:
            return self._pause.left()
        return None if self.serves else _GLANCE_S

    def fork(self) -> None:
        """Start it. In the child, this does not return."""
        news, tell = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(news)
            _live(lambda: self._main(lambda: _tell(tell)), parent)
        os.close(tell)
        os.set_blocking(news, False)
        self.pid, self.serves, self._news = pid, False, news

    def look(self) -> bool:
        """Notice that it serves, or that it died. True when something changed."""
        if self.pid is None:
            return False
        served = self.serves
        if not served:
            with contextlib.suppress(BlockingIOError):
                self.serves = os.read(self._news, 1) != b""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid != 0:
            self._bury(status)
            return True
        return self.serves != served

    def send(self, number: signal.Signals) -> None:
        """Ask it to end."""
        if self.pid is not None:
            self._was_told = True
            os.kill(self.pid, number)

    def _bury(self, status: int) -> None:
        assert self.pid is not None
        if not self._was_told:
            log.warning("process_ended", process=self.name, pid=self.pid, code=os.waitstatus_to_exitcode(status))
        telemetry.forget_process(self.pid)
        self._pause.begin(has_lived=self.serves)
        self._has_served |= self.serves
        self.is_stillborn = not self._has_served
        self.pid, self.serves = None, False
        os.close(self._news)


class Supervisor:
    """Keeps the children alive, and the embedded server when there is one."""

    def __init__(
        self, *, gateways: Sequence[Child], worker: Child, bank: Child | None, server: Server | None, data: Path
    ) -> None:
        self._gateways = gateways
        self._worker = worker
        self._bank = bank
        self._children = [*gateways, worker, *([bank] if bank else [])]
        self._server = server
        self._record = data / "processes.json"
        self._server_pause = _Pause()
        self._server_began_at = time.monotonic()

    def run(self, when_serving: Callable[[], None]) -> None:
        """Start the children and watch over them until a signal says stop.

        `when_serving` is called once, when every child serves for the first time. Raises
        SetupError when one dies before it has ever served.
        """
        # Before anything is collected for the last time: what exists now is shared with every
        # child and never garbage, so no child needs to look at it (or to copy it) again.
        gc.collect()
        gc.freeze()
        watched = _WATCHED - {number for number in _STOP_SIGNALS if signal.getsignal(number) == signal.SIG_IGN}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        try:
            self._start(watched)
            when_serving()
            self._watch(watched)
        finally:
            self._stop(watched)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self, watched: set[signal.Signals]) -> None:
        self._tend()
        while not all(child.serves for child in self._children):
            if dead := [child.name for child in self._children if child.is_stillborn]:
                raise SetupError(f"{dead[0]} did not start; what it said is above")
            if _next_signal(watched, _GLANCE_S) in _STOP_SIGNALS:
                raise KeyboardInterrupt
            self._tend()

    def _watch(self, watched: set[signal.Signals]) -> None:
        # Tend first: whatever woke us before may have been a death that nobody has looked at yet.
        self._tend()
        while _next_signal(watched, self._nap()) not in _STOP_SIGNALS:
            self._tend()

    def _tend(self) -> None:
        """Replace whoever died, and write down who lives when that has changed."""
        changed = self._tend_server()
        for child in self._children:
            changed = child.look() or changed
            if child.is_due:
                child.fork()
                changed = True
        if changed:
            self._write_record()

    def _tend_server(self) -> bool:
        if self._server is None or self._server.is_running or self._server_pause.left():
            return False
        log.warning("process_ended", process="postgres", pid=self._server.pid)
        self._server_pause.begin(has_lived=time.monotonic() - self._server_began_at > _A_LIFE_S)
        self._server_began_at = time.monotonic()
        try:
            self._server.start_again()
        except SetupError as error:
            log.error("postgres_does_not_start", why=str(error))
        return True

    def _nap(self) -> float | None:
        """How long nothing is to be done unless a signal comes; None is for ever."""
        waits = [due for child in self._children if (due := child.due_in) is not None]
        if self._server and not self._server.is_running:
            waits.append(self._server_pause.left())
        return min(waits, default=None)

    def _stop(self, watched: set[signal.Signals]) -> None:
        """Gateways first, so that no answer is lost; then the worker, and the bank it calls.

        The server is its starter's.
        """
        is_patient = True
        for group in (self._gateways, [self._worker], [self._bank] if self._bank else []):
            is_patient = _end(group, watched, is_patient=is_patient)
        self._record.unlink(missing_ok=True)

    def _write_record(self) -> None:
        """Say who runs, for people and for the crash test. Whole or not at all."""
        record = {
            "supervisor": os.getpid(),
            "postgres": self._server.pid if self._server else None,
            "gateways": [child.pid for child in self._gateways],
            "worker": self._worker.pid,
            "bank": self._bank.pid if self._bank else None,
        }
        draft = self._record.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
        draft.replace(self._record)


def _end(children: Sequence[Child], watched: set[signal.Signals], *, is_patient: bool) -> bool:
    """End these children, by force when they take too long or somebody asks again. False then."""
    give_up_at = time.monotonic() + (_STOP_TIMEOUT_S if is_patient else 0)
    for child in children:
        child.send(signal.SIGTERM)
    while any(child.pid for child in children):
        if time.monotonic() >= give_up_at:
            for child in children:
                child.send(signal.SIGKILL)
        if _next_signal(watched, _GLANCE_S) in _STOP_SIGNALS:
            is_patient = False
            give_up_at = 0.0
        for child in children:
            child.look()
    return is_patient


def _next_signal(watched: set[signal.Signals], timeout: float | None) -> int | None:
    if timeout is None:
        return signal.sigwaitinfo(watched).si_signo
    info = signal.sigtimedwait(watched, timeout)
    return info.si_signo if info else None


def _live(main: Callable[[], None], parent: int) -> None:
    """A child's life, from the fork to the end. Never returns into the parent's code."""
    code = 1
    try:
        stop_with_parent(signal.SIGKILL)
        if os.getppid() == parent:  # else it died before we could ask to die with it
            # Ctrl-C is the supervisor's: it stops us in its own order.
            os.setsid()
            for number in _WATCHED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            main()
            code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the end of a process is where everything ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(news: int) -> None:
    os.write(news, b".")
    os.close(news)
