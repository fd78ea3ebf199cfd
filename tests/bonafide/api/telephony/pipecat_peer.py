# mypy: ignore-errors
# ruff: noqa
"""Runs in an environment of its own, with pipecat-ai: its serializers write and read frames for the tests here.

Input: a line of JSON, `{"provider": ..., "frames": [...]}`, frames of a WebSocket as text or `{"base64": ...}`. Output: what
pipecat makes of each: bytes of 16 bit samples, the text of its reply, or nothing.
"""

import asyncio
import base64
import json
import sys
from types import SimpleNamespace

from pipecat.frames.frames import InputAudioRawFrame, OutputTransportMessageUrgentFrame
from pipecat.serializers.genesys import GenesysAudioHookSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer


def serializer(provider):
    if provider == "telnyx":
        params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
        return TelnyxFrameSerializer("stream", "PCMU", "PCMU", params=params)
    if provider == "twilio":
        return TwilioFrameSerializer("stream", params=TwilioFrameSerializer.InputParams(auto_hang_up=False))
    return VonageFrameSerializer() if provider == "vonage" else GenesysAudioHookSerializer()


async def main():
    asked = json.loads(sys.stdin.read())
    found = serializer(asked["provider"])
    await found.setup(SimpleNamespace(audio_in_sample_rate=asked["rate"]))
    answers = []
    for frame in asked["frames"]:
        content = base64.b64decode(frame["base64"]) if isinstance(frame, dict) else frame
        made = await found.deserialize(content)
        if isinstance(made, InputAudioRawFrame):
            answers.append({"base64": base64.b64encode(made.audio).decode()})
        elif isinstance(made, OutputTransportMessageUrgentFrame):
            answers.append(made.message)
        else:
            answers.append(None)
    print(json.dumps(answers))


asyncio.run(main())
