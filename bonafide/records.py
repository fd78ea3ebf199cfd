"""What becomes of a verdict before it is answered: a signed record, counted scores, a place for feedback."""

import time
from typing import TYPE_CHECKING

from bonafide.calls import Call
from bonafide.drift.watch import ScoreWatch
from bonafide.evidence.judgement import Judgement
from bonafide.feedback.store import Feedback, KeptVerdict
from bonafide.security.caller import current_caller
from bonafide.telemetry import current_transport

if TYPE_CHECKING:
    from bonafide.evidence.evidence import Evidence


class VerdictRecords:
    """See `Records`.

    Args:
        evidence: signs; None: verdicts have no signed record.
        watch: measures scores.
        feedback: keeps verdicts; None: none are kept.
    """

    def __init__(self, evidence: "Evidence | None", watch: ScoreWatch, feedback: Feedback | None) -> None:
        self._evidence = evidence
        self._watch = watch
        self._feedback = feedback

    @property
    def needs_media(self) -> bool:
        """See `Records`."""
        return self._evidence is not None or self._feedback is not None

    @property
    def signs(self) -> bool:
        """See `Records`."""
        return self._evidence is not None

    async def record(self, judgement: Judgement, call: Call) -> str:
        """See `Records`."""
        evidence = "" if self._evidence is None else await self._evidence.record(judgement, call)
        transport = current_transport()
        self._watch.answered(judgement.model, transport, judgement.codec, judgement.single_scores)
        if self._feedback is not None:
            await self._feedback.keep(_kept(judgement, call, transport))
        return evidence


def _kept(judgement: Judgement, call: Call, transport: str) -> KeptVerdict:
    return KeptVerdict(
        request_id=call.request_id,
        caller=current_caller(),
        at=time.time(),
        task=judgement.model.task,
        task_id=call.task_id,
        source=judgement.source,
        reference=judgement.reference,
        sha256="" if judgement.media is None else judgement.media.sha256,
        label=judgement.label,
        score=judgement.score,
        threshold=judgement.threshold,
        model=judgement.model.name,
        version=judgement.model.version,
        transport=transport,
        codec=judgement.codec,
    )
