"""The model of a runner, and how another one takes its place while calls go on.

The new one is loaded beside the old one, and then takes its place at once; the old one is kept for the calls that began
with it. A reference that cannot be loaded changes nothing.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from models.atomic import atomic
from models.errors import ModelBusy, ModelError, UnsupportedModel
from models.info import ModelInfo

logger = logging.getLogger(__name__)

KEEP_UNUSED_S = 60.0
"""A model that was replaced is let go when no call has asked for it for so long."""
KEEP_PREPARED_S = 600.0
"""A model that was prepared is let go when it has not been put in its place for so long: who asked for it has ended."""
_LOOK_S = 5.0


class Loaded(NamedTuple):
    """A model that scores.

    Attributes:
        info: what it is.
        judge: returns plain numbers for each item, NaN for one that cannot be judged.
    """

    info: ModelInfo
    judge: Callable[[list[Any]], list[Any]]


Request = tuple[str, str | None]
"""Reference and spoof label of a model."""


class Source(Protocol):
    """Where models come from."""

    def load(self, reference: str, spoof_label: str | None) -> Loaded:
        """Loads a model.

        Args:
            reference: of it.
            spoof_label: the class that means spoof, as in `LoadOptions`.

        Raises:
            ModelError: it cannot be served.
        """

    def admit(self, reference: str, spoof_label: str | None) -> None:
        """Refuses a model that would not fit beside the present one, or cannot be loaded; does what would disturb it.

        Raises:
            ModelError: there is none, it does not fit, or it cannot be served.
        """


class ModelSlot:
    """Holds one model, two while one replaces the other. Loading runs in any thread, the rest is quick.

    Args:
        source: of models.
        keep_s: longest time that a replaced model is kept.
        note: file that names the model that replaced the first one, for the next process of this kind if this one dies;
            None: it has the first one again.
        clock: seconds.

    Attributes:
        current: scores; None: nothing could be loaded yet.
        previous: the one before, as long as it is kept.
    """

    def __init__(
        self, source: Source, keep_s: float, note: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.current: Loaded | None = None
        self.previous: Loaded | None = None
        self._next: tuple[Loaded, Request] | None = None
        self._requests: tuple[Request | None, Request | None] = (None, None)  # of the current and the previous one
        self._source = source
        self._keep_s = keep_s
        self._note = note
        self._clock = clock
        self._loading = threading.Lock()
        self._prepared_at = self._replaced_at = self._asked_at = 0.0

    @property
    def is_prepared(self) -> bool:
        """Whether a model waits to be put in its place."""
        return self._next is not None

    def fill(self, reference: str, spoof_label: str | None) -> None:
        """Loads the first model, or the one that had replaced it in a process before this one.

        Raises:
            ModelError: it cannot be served.
        """
        if (noted := self._noted()) is not None:
            try:
                self.current = self._source.load(*noted)
            except ModelError as error:
                logger.error("the model that was in use cannot be loaded again: %s", error)
            else:
                self._requests = (noted, None)
                return
        self.current = self._source.load(reference, spoof_label)
        self._requests = ((reference, spoof_label), None)

    def prepare(self, reference: str, spoof_label: str | None) -> ModelInfo:
        """Loads a model that is to take the place; nothing changes yet. Takes seconds, or minutes.

        The one before the current one, as long as it is kept, is there at once, unless both had one reference.

        Raises:
            ModelBusy: another one is being loaded or waits for its place, or the one before the current one is still
                needed.
            ModelError: it cannot be served, or does not fit beside the current one.
        """
        if not self._loading.acquire(blocking=False):
            raise ModelBusy("another model is being loaded; try again when it is")
        try:
            # Another process may have had it loaded, here and in other replicas: all of them take it, or none.
            if self.is_prepared:
                raise ModelBusy("another model is about to take the place; try again when it has")
            request = (reference, spoof_label)
            if (loaded := self.previous) is not None:
                # What the present one was loaded by, too, means its newest files and not the way back.
                if request != self._requests[1] or request == self._requests[0]:
                    raise ModelBusy("calls still go on with the model before the present one; try again in a minute")
            else:
                self._source.admit(*request)
                loaded = self._source.load(*request)
            self._prepared_at = self._clock()
            self._next = (loaded, request)
            return loaded.info
        except ModelError:
            raise
        except Exception as error:
            logger.exception("a model could not be loaded")
            raise UnsupportedModel(f"{reference!r} cannot be loaded: {type(error).__name__}, see the log") from error
        finally:
            self._loading.release()

    def activate(self, fingerprint: str) -> bool:
        """Puts the prepared model in its place, if it is this one; False: it is not, and is let go."""
        prepared, self._next = self._next, None
        if prepared is None or prepared[0].info.fingerprint != fingerprint:
            return False
        loaded, request = prepared
        before = self._requests
        if self.current is not None and self.current.info.fingerprint != fingerprint:
            self.previous, self._requests = self.current, (request, before[0])
        else:
            self._requests = (request, before[1])
        self.current = loaded
        self._replaced_at = self._asked_at = self._clock()
        self._write_note(request)
        logger.info("model replaced", extra={"model": loaded.info.name, "version": loaded.info.version})
        return True

    def asked_for_previous(self) -> Loaded | None:
        """The model before the current one, which is then kept longer; None: it has been let go."""
        self._asked_at = self._clock()
        return self.previous

    def expire(self) -> None:
        """Lets the previous model go when its time is up, and one that was prepared in vain."""
        now = self._clock()
        if self._next is not None and now >= self._prepared_at + KEEP_PREPARED_S:
            logger.warning("a model that was not put in its place is let go", extra={"model": self._next[0].info.name})
            self._next = None
        if self.previous is None or (now < self._asked_at + KEEP_UNUSED_S and now < self._replaced_at + self._keep_s):
            return
        logger.info("the replaced model is let go", extra={"model": self.previous.info.name})
        self.previous = None

    async def expire_in_time(self) -> None:
        """Does so until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.expire()

    def _write_note(self, request: Request) -> None:
        if self._note is None:
            return
        try:
            with atomic(self._note) as fresh:  # a process may be killed while it writes
                fresh.write_text(json.dumps(request), encoding="utf-8")
        except OSError as error:
            logger.warning("if this process dies, the next has the model of the settings", extra={"cause": repr(error)})

    def _noted(self) -> Request | None:
        if self._note is None or not self._note.is_file():
            return None
        reference, spoof_label = json.loads(self._note.read_text(encoding="utf-8"))
        return reference, spoof_label
