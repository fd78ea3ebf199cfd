"""From the scores of an object to its rows, by the service's own use cases, which are given what was decoded and scored.

`VoiceAnalysis` and `FaceJudgement` ask a decoder and a runner; here both answer from memory. So a verdict is made in one
place, and a scan has no rule of its own.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.reader import AudioLimits, Window
from bonafide.byte_budget import ByteBudget
from bonafide.cache.cache import Cache
from bonafide.cache.circuit_breaker import CircuitBreaker
from bonafide.cache.codec import Codec
from bonafide.calls import Call
from bonafide.decoders.recordings import WindowStream
from bonafide.errors import BonafideError
from bonafide.face import FaceJudgement
from bonafide.photo.faces import Face
from bonafide.photo.quality import Reason
from bonafide.photo.reader import Photo
from bonafide.runner.remote import RunnerResult
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.verdict import PhotoScore, SpeechCheck, WindowScore
from bonafide.voice import VoiceAnalysis, report_of
from models.info import ModelInfo
