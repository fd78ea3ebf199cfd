"""`POST /models/<name>` of the private port: puts another model in the place of one that serves. Translates only.

It asks for a token of its own: whoever may read metrics, or lets a browser call this port, may not change what judges.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from bonafide.errors import Unavailable
from bonafide.runner.remote import ModelRefused
from bonafide.runner.runner import Runner
from models.info import ModelInfo

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024
_SCHEME = "Bearer "


class Replacement(BaseModel):
    """Body of the request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reference: str = Field(min_length=1, max_length=4096)
    spoof_label: str | None = Field(None, min_length=1, max_length=256)


class OperatorApi:
    """The handler.

    Args:
        token: that the operator sends; empty: nothing is replaced.
        runners: whose models can be replaced, by name.
    """

    def __init__(self, token: SecretStr, runners: Callable[[], Mapping[str, Runner[Any]]]) -> None:
        self._token = token.get_secret_value().encode()
        self._runners = runners

    def routes(self) -> list[web.RouteDef]:
        """The routes to add."""
        return [web.post("/models/{name}", self._replace)]

    async def _replace(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        runners = self._runners()
        name = request.match_info["name"]
        if name not in runners:
            return _error(404, f"there is no model {name!r}; there are {', '.join(sorted(runners))}")
        try:
            wanted = Replacement.model_validate_json(await request.read())
        except ValidationError as error:
            where = ", ".join(sorted({str(each["loc"][0]) if each["loc"] else "body" for each in error.errors()}))
            return _error(400, f'the body must be JSON like {{"reference": "a-model"}}; wrong: {where}')
        logger.info("a model is to be replaced", extra={"runner": name, "reference": wanted.reference})
        try:
            model, replicas = await runners[name].replace(wanted.reference, wanted.spoof_label)
        except ModelRefused as error:
            logger.warning("the model stays", extra={"runner": name, "cause": str(error)})
            return _error(409 if error.busy else 422, str(error))
        except Unavailable as error:
            return _error(503, error.message)
        return web.json_response(_description(model, replicas), dumps=json.dumps)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._token:
            return _error(403, "models are replaced only with a token; BONAFIDE_OPERATOR_TOKEN sets it")
        given = request.headers.get("authorization", "")
        token = given.removeprefix(_SCHEME).encode("utf-8", "surrogateescape")
        if not (given.startswith(_SCHEME) and hmac.compare_digest(token, self._token)):
            return _error(401, "the operator's token is missing or wrong (authorization: Bearer ...)")
        return None


def _description(model: ModelInfo, replicas: int) -> dict[str, Any]:
    return {
        "model": model.name,
        "version": model.version,
        "reference": model.reference,
        "fingerprint": model.fingerprint,
        "threshold": model.threshold,
        "replicas": replicas,
    }


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
