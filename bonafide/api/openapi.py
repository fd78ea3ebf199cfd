"""The OpenAPI document of the HTTP routes; its responses are the protobuf messages, field by field."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bonafide import __version__
from bonafide.api.bodies import EncodedFile
from bonafide.api.http_jobs import FORM_FIELDS, LIST_FIELD, WantedJob
from bonafide.api.security import KEYS_PATH
from bonafide.api.telephony.call_verdict import CallVerdict
from bonafide.audio.reader import MIN_HOP_SECONDS, WINDOW_SECONDS
from bonafide.feedback.store import LABELS, MAX_NOTE
from proto import audio_analyzer_pb2 as audio
from proto import jobs_pb2 as jobs
from proto import liveness_api_pb2 as liveness

_TYPES = {
    FieldDescriptor.CPPTYPE_STRING: "string",
    FieldDescriptor.CPPTYPE_BOOL: "boolean",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_UINT32: "integer",
}


def _schema(message: Descriptor) -> dict[str, Any]:
    """JSON schema of a message as `MessageToDict` prints it."""

    def of(field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is None:
            one: dict[str, Any] = {"type": _TYPES[field.cpp_type]}
        elif field.message_type.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": of(field.message_type.fields_by_name["value"])}
        else:
            one = _schema(field.message_type)
        return {"type": "array", "items": one} if field.is_repeated else one

    return {"type": "object", "properties": {field.name: of(field) for field in message.fields}}


_CHANNEL_MODE = {
    "description": "which channels are judged: auto, mix, separate, or the number of one, from 0",
    "schema": {"type": "string", "default": "auto"},
}
_CHANNEL_PARAMETERS = [
    {"name": "channel_mode", "in": "query", **_CHANNEL_MODE},
    {"name": "x-channel-mode", "in": "header", **_CHANNEL_MODE},
]
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("code", "message", "request_id")},
        }
    },
}


_TIMEOUT = {
    "name": "x-timeout-seconds",
    "in": "header",
    "description": "seconds that the caller waits; the service's own limit where that is lower",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}
_REQUEST_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": "the caller's own id of the call, for the log; the answer has the one that is used",
    "schema": {"type": "string"},
}


def _in_path(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": what, "schema": {"type": "string"}}


_JOB_ID = _in_path("job_id", "as the answer to its creation names it")


def _operation(summary: str, answer: dict[str, Any], body: dict[str, Any] | None = None) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": [_TIMEOUT, _REQUEST_ID],
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": answer}}},
            "default": {"description": "error", "content": {"application/json": {"schema": _ERROR}}},
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _with(operation: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {**operation, "parameters": [*parameters, *operation["parameters"]]}


def _open(operation: dict[str, Any]) -> dict[str, Any]:
    """Which asks for no key."""
    return {**operation, "security": []}


_BYTES = {"type": "string", "format": "binary"}
_FILE = {
    "application/octet-stream": {"schema": _BYTES},
    "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": {"file": _BYTES}}},
    "application/json": {"schema": EncodedFile.model_json_schema()},
}
_HOP = {"type": "number", "minimum": MIN_HOP_SECONDS, "maximum": WINDOW_SECONDS}
_RECORDING = {
    **_FILE,
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": _BYTES, "channel_mode": {"type": "string"}, "hop_seconds": _HOP},
        }
    },
}
_HOP_IN_QUERY = {
    "name": "hop_seconds",
    "in": "query",
    "description": "seconds between the starts of two windows; without it they do not overlap",
    "schema": _HOP,
}
_STORED = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["bucket", "key"],
            "properties": {
                **{name: {"type": "string"} for name in ("bucket", "key", "task_id", "channel_mode")},
                "hop_seconds": _HOP,
            },
        }
    }
}
_AUDIO = _schema(audio.AnalyzeAudioResponse.DESCRIPTOR)
_FACE = _schema(liveness.LivenessResponse.DESCRIPTOR)
_MODELS = {
    "type": "object",
    "properties": {
        "voice": _schema(audio.VoiceModelStatusResponse.DESCRIPTOR),
        "face": _schema(liveness.ModelStatusResponse.DESCRIPTOR),
    },
}
_CALL = CallVerdict.model_json_schema(ref_template="#/components/schemas/{model}")
_SCHEMAS = _CALL.pop("$defs")
_TRUTH = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["request_id", "label"],
            "properties": {
                "request_id": {"type": "string"},
                "label": {"type": "string", "enum": [label for labels in LABELS.values() for label in labels]},
                "note": {"type": "string", "maxLength": MAX_NOTE},
            },
        }
    }
}
_TOLD = _schema(audio.FeedbackResponse.DESCRIPTOR)
_KEYS = {"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "object"}}}}
_ANY = {"type": "object"}
_JOB = _schema(jobs.Job.DESCRIPTOR)
_WANTED_JOB = {
    "application/json": {"schema": WantedJob.model_json_schema()},
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["bucket", LIST_FIELD],
            "properties": {
                **{name: {"type": "string"} for name in FORM_FIELDS if name != "prefix"},
                LIST_FIELD: {"type": "string", "description": "keys of the recordings, UTF-8, one a line"},
            },
        }
    },
}
_AFTER = {
    "name": "after",
    "in": "query",
    "description": "results to leave out at the beginning: those that the caller has",
    "schema": {"type": "integer", "minimum": 0},
}


def _accepted(operation: dict[str, Any]) -> dict[str, Any]:
    """Whose answer has the status 202."""
    responses = operation["responses"]
    return {**operation, "responses": {"202": responses["200"], "default": responses["default"]}}


def _lines(operation: dict[str, Any]) -> dict[str, Any]:
    """Whose answer is a document a line."""
    responses = operation["responses"]
    schema = responses["200"]["content"]["application/json"]
    lines = {"description": "OK", "content": {"application/x-ndjson": schema}}
    return {**operation, "responses": {"200": lines, "default": responses["default"]}}


OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Bonafide",
        "version": __version__,
        "description": "Tells real voices and faces from fake ones. Scores are P(spoof) or P(fake), 0 to 1.",
    },
    "paths": {
        "/detect_audio": {
            "post": _with(
                _operation("Judge the recording in the body", _AUDIO, _RECORDING), *_CHANNEL_PARAMETERS, _HOP_IN_QUERY
            )
        },
        "/analyze_audio": {
            "post": _with(_operation("Judge a stored recording", _AUDIO, _STORED), *_CHANNEL_PARAMETERS, _HOP_IN_QUERY)
        },
        "/predict_liveness": {"post": _operation("Judge the photo in the body", _FACE, _FILE)},
        "/feedback": {"post": _operation("Tell the truth about a verdict that was kept", _TOLD, _TRUTH)},
        "/jobs": {"post": _accepted(_operation("Have many stored recordings judged", _JOB, _WANTED_JOB))},
        "/jobs/{job_id}": {
            "get": _with(_operation("How far a job is", _JOB), _JOB_ID),
            "delete": _with(_operation("End a job; its results so far stay", _JOB), _JOB_ID),
        },
        "/jobs/{job_id}/results": {
            "get": _with(
                _lines(_operation("The results that are there, one a line", _schema(jobs.JobResult.DESCRIPTOR))),
                _JOB_ID,
                _AFTER,
            )
        },
        "/model_status": {"get": _operation("Which models answer", _MODELS)},
        "/calls/{call_id}": {
            "get": _with(
                _operation("The verdict on a phone call", _CALL),
                _in_path("call_id", "as the telephone system calls it"),
            )
        },
        KEYS_PATH: {"get": _open(_operation("The public keys of evidence, a JSON Web Key Set", _KEYS))},
        "/health": {"get": _open(_operation("Whether both models answer, and the service is not leaving", _ANY))},
        "/stats": {"get": _operation("How many calls and live sessions are in progress", _ANY)},
    },
    "components": {
        "schemas": _SCHEMAS,
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        },
    },
    # The last: a service may ask for no key.
    "security": [{"bearer": []}, {"key": []}, {}],
}
