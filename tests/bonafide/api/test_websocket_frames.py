"""docs/websocket.md against the types: each example is a valid frame, and each frame has an example."""

import json
import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from bonafide.api import websocket_replies as replies
from bonafide.api import websocket_requests as requests
from bonafide.errors import InvalidRequest
from scripts.local_service import ROOT
from tests.bonafide.api.answers import read_answer

PAGE = (ROOT / "docs" / "websocket.md").read_text()
EXAMPLES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def is_request(example: dict[str, Any]) -> bool:
    asked = {"connect", "audio_chunk", "config", "ping", "flush", "end"}
    return example["type"] in asked or (example["type"] == "stats" and "stats" not in example)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if is_request(example)])
def test_what_the_page_lets_a_client_send_is_understood_whole(example: dict[str, Any]) -> None:
    read = requests.read_message(json.dumps(example)).model_dump()
    assert {**read, "client_id": "", "timestamp": 0}.keys() >= example.keys()
    assert {key: read[key] for key in example.keys() & read.keys()} == {
        key: example[key] for key in example.keys() & read.keys()
    }


@pytest.mark.parametrize("example", [example for example in EXAMPLES if not is_request(example)])
def test_what_the_page_says_is_answered_is_what_we_answer(example: dict[str, Any]) -> None:
    assert json.loads(read_answer(json.dumps(example)).text()) == example


@pytest.mark.parametrize(
    ("union", "asked"), [(requests.ClientMessage, True), (replies.ServerMessage, False)], ids=["client", "server"]
)
def test_every_frame_is_on_the_page(union: Any, asked: bool) -> None:
    shown = {example["type"] for example in EXAMPLES if is_request(example) is asked}
    known: list[type[BaseModel]] = list(get_args(union))
    assert shown == {get_args(kind.model_fields["type"].annotation)[0] for kind in known}


def test_only_an_ensemble_has_members() -> None:
    example = next(each for each in EXAMPLES if each["type"] == "detection_result")
    members = {"first": 0.97, "second": 0.9}
    window = {**example["result"], "member_scores": members}
    answered = json.loads(read_answer(json.dumps({**example, "result": window, "windows": [window]})).text())
    assert answered["result"]["member_scores"] == members
    plain = replies.TimelineWindow(
        sequence=0, start_time_seconds=0.0, end_time_seconds=1.0, label="spoof", p_spoof=0.9, speech_ratio=1.0
    )
    assert "member_scores" not in plain.model_dump()


@pytest.mark.parametrize("name", sorted(replies.Result.model_fields.keys() - {"sequence"}))
def test_every_field_of_a_window_is_explained(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(replies.SessionConfig.model_fields))
def test_every_option_is_explained(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("hello", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ("[]", "object whose type"),
        ("1", "object whose type"),
        ("{}", "object whose type"),
        ('{"type": "nonsense"}', "object whose type"),
        ('{"type": 3}', "object whose type"),
        ('{"type": "audio_chunk"}', "audio_chunk: audio_data"),
        ('{"type": "audio_chunk", "audio_data": [1, "x"]}', "audio_chunk: audio_data"),
        ('{"type": "config", "chunk_duration": "long"}', "config: chunk_duration"),
        ('{"type": "config", "encoding": "mp3"}', "config: encoding"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, told: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(told)):
        requests.read_message(text)


@pytest.mark.parametrize("item", [{}, "a"])
def test_an_array_of_wrong_items_is_refused_by_the_first(item: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        requests.read_message(json.dumps({"type": "audio_chunk", "audio_data": [item] * 1_000}))
    assert isinstance(refused.value.__cause__, ValidationError)
    assert refused.value.__cause__.error_count() == 2  # no string, and no number


@pytest.mark.parametrize("field", ['"audio_data": [[],', '"audio_data": [{},', '"x": 1,'])
def test_a_frame_of_lists_or_fields_is_refused_before_it_is_read(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # One of 2 MB took up to a second, in which nobody else was answered.
    text = '{"type": "audio_chunk", ' + field * 10_000
    monkeypatch.delattr(requests, "_CLIENT_MESSAGE")
    with pytest.raises(InvalidRequest, match="more than 10000 lists"):
        requests.read_message(text)


def test_old_clients_send_more_than_we_know() -> None:
    chunk = requests.read_message(
        '{"type": "audio_chunk", "audio_data": "[0, 1]", "sample_rate": 16000.0, "timestamp": 1, "extra": {}}'
    )
    assert isinstance(chunk, requests.AudioChunk)
    assert chunk.sample_rate == 16_000
