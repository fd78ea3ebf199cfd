"""The verdict on a phone call: which one is current, where it is stored, and when it is posted to the webhook.

In: a live session's progress. Out: documents in the store of call verdicts and at the webhook. Independent of
transports: they pass the function that encodes a verdict.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bonafide.decision import Answer
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.live.session import Ending
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary, summary_of
from bonafide.live.webhook import Webhook
from bonafide.verdict import NO_SPEECH, answer_of


@dataclass(frozen=True)
class PhoneVerdict:
    """The verdict on a call: during the call the running one, afterwards that on the whole call.

    Attributes:
        call_id: the provider's id of the call.
        stream_id: the provider's id of its audio stream.
        done: whether the call is over.
        label: "spoof", "bonafide", or "no_speech".
        p_spoof: P(spoof), 0..1; None without speech.
        summary: the session so far, or all of it.
        answer: what is said beside label and `p_spoof`.
        request_id: identifies the call in the log.
        timestamp: seconds since 1970.
        notes: what was odd about the call's stream, such as lost packets, as sentences.
    """

    call_id: str
    stream_id: str
    done: bool
    label: str
    p_spoof: float | None
    summary: LiveSummary
    answer: Answer
    request_id: str
    timestamp: float
    notes: tuple[str, ...] = ()


class PhoneCall:
    """One call that has begun: stores its newest verdict, and posts it when the label changes and at the end.

    Args:
        call_id: the provider's id of the call.
        stream_id: the provider's id of its audio stream.
        stream: its live session.
        verdicts: where the newest verdict is stored.
        webhook: receives verdicts; None: they are not posted.
        encode: makes the document that is stored and posted.

    Attributes:
        stream_id: as given.
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
        self.notes: tuple[str, ...] = ()

    async def update(self) -> PhoneVerdict:
        """Stores the running verdict, and returns it; posts it when its label has changed."""
        running = self._stream.session.running
        session = self._stream.session
        summary = summary_of(session, Ending.END, self._stream.model)
        answer = answer_of(
            running.p_spoof,
            running.label,
            summary.suspicious,
            band=session.band,
            prior_log_odds=session.prior_log_odds,
            conditions=summary.answer.conditions,
        )
        verdict = self._verdict(running.label, running.p_spoof, summary, done=False)
        return await self._store(replace(verdict, answer=answer))

    async def finish(self, summary: LiveSummary) -> PhoneVerdict:
        """Stores and posts the verdict on the whole call, and returns it."""
        return await self._store(self._verdict(summary.label, summary.score, summary, done=True))

    async def _store(self, verdict: PhoneVerdict) -> PhoneVerdict:
        document = self._encode(verdict)
        await self._verdicts.put(self._call_id, document)
        if self._webhook is not None and (verdict.done or verdict.label != self._posted_label):
            self._webhook.post(document)
        self._posted_label = verdict.label
        return verdict

    def _verdict(self, label: str, p_spoof: float | None, summary: LiveSummary, *, done: bool) -> PhoneVerdict:
        return PhoneVerdict(
            call_id=self._call_id,
            stream_id=self.stream_id,
            done=done,
            label=label,
            p_spoof=p_spoof,
            summary=summary,
            answer=summary.answer,
            request_id=self._stream.call.request_id,
            timestamp=time.time(),
            notes=self.notes,
        )
