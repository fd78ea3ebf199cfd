"""FreeSWITCH' mod_audio_stream and its relatives: `/ws/freeswitch`. L16 little-endian, after metadata as text if any.

Verdicts are sent as JSON text, of which the module makes an event (`mod_audio_stream::json`).
"""

import json
from collections.abc import Iterator
from typing import Any

from bonafide.api.telephony.call_verdict import call_verdict
from bonafide.api.telephony.events import Begin, Content, Event, Make, Media, SilentProtocol
from bonafide.api.telephony.fields import Address, read_object
from bonafide.api.telephony.vonage import named_call
from bonafide.errors import BonafideError, InvalidRequest
from bonafide.live.phone_calls import PhoneVerdict

_IDS = ("call_id", "uuid", "Unique-ID")
_RATES = (8_000, 16_000)


class FreeSwitchProtocol(SilentProtocol):
    """One stream.

    Args:
        address: names the call, its sample rate (8000) and channels (1: `mono` or `mixed`, 2: `stereo`), which the
            module does not tell by itself; metadata may do so too.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._started = False

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        if isinstance(content, bytes):
            if not self._started:
                yield self._begin({})
            yield Media(content)
        elif not self._started:
            is_object = content.lstrip()[:1] == "{"
            if is_object or self._address.call_id is None:
                yield self._begin(read_object(content))
            else:
                yield self._begin({})  # a metadata text of any form: the address says all

    def verdict_message(self, verdict: PhoneVerdict) -> Make:
        """See `PhoneProtocol`."""
        document = call_verdict(verdict).decode()
        return lambda: f'{{"type":"verdict","verdict":{document}}}'

    def refusal(self, error: BonafideError) -> Make:
        """See `PhoneProtocol`."""
        text = json.dumps({"type": "error", "code": error.code.value, "message": error.message})
        return lambda: text

    def _begin(self, metadata: dict[str, Any]) -> Begin:
        self._started = True
        rate = self._address.sample_rate or metadata.get("sample_rate", _RATES[0])
        channels = self._address.channels or metadata.get("channels", 1)
        if rate not in _RATES or isinstance(rate, bool) or not isinstance(channels, int) or channels not in (1, 2):
            raise InvalidRequest("sample_rate must be 8000 or 16000, and channels 1 or 2")
        call_id = self._address.call_id or named_call(metadata, _IDS)
        return Begin(call_id, "", "pcm16", int(rate), int(channels), self._address.mode)
