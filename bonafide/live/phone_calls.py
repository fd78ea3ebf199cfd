"""The verdict on a phone call: which one is current, where it is stored, and when it is posted to the webhook.

In: a live session's progress. Out: documents in the store of call verdicts and at the webhook. Independent of
transports: they pass the function that encodes a verdict.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bonafide.errors import BonafideError
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.live.session import Ending
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary, running_summary
from bonafide.live.webhook import Webhook
from bonafide.verdict import NO_SPEECH


@dataclass(frozen=True)
class PhoneVerdict:
    """The verdict on a call: during the call the running one, afterwards that on the whole call.

    Attributes:
        call_id: the provider's id of the call.
        stream_id: the provider's id of its audio stream.
        done: whether the call is over.
        summary: the session so far, with its running verdict, or all of it.
        request_id: identifies the call in the log.
        timestamp: seconds since 1970.
        notes: what was odd about the call's stream, such as lost packets, as sentences.
    """

    call_id: str
    stream_id: str
    done: bool
    summary: LiveSummary
    request_id: str
    timestamp: float
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Either "spoof", "bonafide", or "no_speech"."""
        return self.summary.label

    @property
    def p_spoof(self) -> float | None:
        """P(spoof), 0..1; None without speech."""
        return self.summary.score


class PhoneCall:
    """One call that has begun: stores its newest verdict, and posts it when the label changes and at the end.

    Args:
        call_id: the provider's id of the call.
        stream_id: the provider's id of its audio stream.
        stream: its live session.
        verdicts: where the newest verdict is stored.
        webhook: receives verdicts; None: they are not posted.
        encode: makes the document that is stored and posted.

    Raises:
        InvalidRequest: another stream of this call is open.

    Attributes:
        stream_id: as given.
        over: whether its last verdict is stored.
        notes: what was odd about the call's stream, as sentences; part of each verdict from then on.
    """

    def __init__(
        self,
        call_id: str,
        stream_id: str,
        *,
        stream: LiveStream,
        verdicts: CallVerdicts,
        webhook: Webhook | None,
        encode: Callable[[PhoneVerdict], bytes],
    ) -> None:
        self._call_id = call_id
        self.stream_id = stream_id
        self._stream = stream
        self._verdicts = verdicts
        self._webhook = webhook
        self._encode = encode
        self._posted_label = NO_SPEECH
        self.over = False
        self.notes: tuple[str, ...] = ()
        self._left_out, self._first_cause = 0, ""
        verdicts.streams.begin(call_id, stream)

    def close(self) -> None:
        """Nothing more is stored: another stream of the call may begin."""
        self._verdicts.streams.end(self._call_id, self._stream)

    def leave_out(self, error: BonafideError) -> None:
        """Takes note of a message's audio that is not judged, for each verdict from then on."""
        self._left_out += 1
        self._first_cause = self._first_cause or error.message

    async def update(self) -> PhoneVerdict:
        """Stores the running verdict, and returns it; posts it when its label has changed."""
        return await self._store(self._verdict(self._running(), done=False))

    async def finish(self, summary: LiveSummary) -> PhoneVerdict:
        """Stores and posts the verdict on the whole call, and returns it."""
        return await self._store(self._verdict(summary, done=True))

    async def break_off(self, ending: Ending = Ending.ERROR) -> PhoneVerdict:
        """As `finish`, of a call whose rest cannot be judged, on what was judged before.

        Where verdicts are recorded, this one has no record and may not be given: the running verdict is its last.
        """
        if self._stream.records_verdicts:
            return await self.finish(replace(self._running(with_windows=True), ending=ending))
        return await self.finish(self._stream.summary(ending))

    def _running(self, *, with_windows: bool = False) -> LiveSummary:
        stream = self._stream
        return running_summary(stream.session, stream.model, stream.channel_names, with_windows=with_windows)

    async def _store(self, verdict: PhoneVerdict) -> PhoneVerdict:
        document = self._encode(verdict)
        if self._verdicts.streams.is_current(self._call_id, self._stream):  # else the call goes on on another stream
            await self._verdicts.put(self._call_id, document)
        if self._webhook is not None and (verdict.done or verdict.label != self._posted_label):
            self._webhook.post(document, last=verdict.done)
        self._posted_label = verdict.label
        self.over = verdict.done
        return verdict

    def _verdict(self, summary: LiveSummary, *, done: bool) -> PhoneVerdict:
        left_out = [f"messages not judged: {self._left_out}, the first: {self._first_cause}"] if self._left_out else []
        return PhoneVerdict(
            call_id=self._call_id,
            stream_id=self.stream_id,
            done=done,
            summary=summary,
            request_id=self._stream.call.request_id,
            timestamp=time.time(),
            notes=(*self.notes, *left_out),
        )
