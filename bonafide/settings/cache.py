"""The cache, in memory or in Redis."""

from dataclasses import replace
from functools import cached_property
from typing import Self

from pydantic import Field, SecretStr, ValidatorFunctionWrapHandler, field_validator, model_validator

from bonafide.addresses import REDIS_PORT, RedisServer, parse_address, parse_redis
from bonafide.settings.group import MIB, SettingsGroup
from bonafide.settings.types import LongKey, RedisHost, RedisUrl, is_service_link


class _LinkedPort(int):
    """A port that Kubernetes set on its own; it gives way to one that an operator set."""


class CacheSettings(SettingsGroup):
    """What is cached, where, and for how long."""

    redis_host: RedisHost = Field(None, validation_alias="REDIS_HOST")  # a URL may hold a password
    """Host, `host:port` or URL of Redis or Valkey; unset, as `REDIS_URL`: the cache is in memory."""
    redis_url: RedisUrl = Field(None, validation_alias="REDIS_URL")
    """`redis://user:password@host:port/db`, `rediss://` for TLS, or `unix:///path?db=N`."""
    redis_port: int = Field(REDIS_PORT, ge=1, le=65535, validation_alias="REDIS_PORT")
    """Port of Redis or Valkey."""
    redis_password: SecretStr | None = Field(None, validation_alias="REDIS_PASSWORD")
    """Password of Redis or Valkey."""
    cache_key: LongKey = SecretStr("")
    """Authenticates what is kept in Redis (HMAC-SHA256), 16 characters or more; unset: a checksum finds only damage."""
    redis_timeout_s: float = Field(0.5, gt=0.0)
    """Longest time of one cache round trip; a slower cache is skipped."""
    cache_ttl_s: int = Field(3600, ge=1)
    """How long windows and scores are kept."""
    cache_windows: bool = True
    """Whether decoded windows (biometric data) are cached; scores always are."""
    cache_max_bytes: int = Field(256 * MIB, ge=0)
    """Bound of the in-memory cache."""

    @field_validator("redis_port", mode="wrap")
    @classmethod
    def _linked_port(cls, value: object, validate: ValidatorFunctionWrapHandler) -> int:
        """Kubernetes sets the address of a service `redis` as `REDIS_PORT=tcp://10.0.0.1:6379`."""
        if is_service_link(value):
            return _LinkedPort(validate(str(value).rpartition(":")[2]))
        return int(validate(value))

    @model_validator(mode="after")
    def _one_redis(self) -> Self:
        if self.redis_url is not None and self.redis_host is not None:
            raise ValueError("REDIS_URL and REDIS_HOST are both set; one must be enough")
        if (server := self._named_redis) is None:
            return self
        name = "REDIS_HOST" if self.redis_url is None else "REDIS_URL"
        if server.password and self.redis_password and server.password != self.redis_password:
            raise ValueError(f"{name} has another password than REDIS_PASSWORD; one must be enough")
        if server.port and self._redis_port_is_set and server.port != self.redis_port:
            raise ValueError(f"{name} has another port than REDIS_PORT; one must be enough")
        return self

    @cached_property
    def redis(self) -> RedisServer | None:
        """Redis or Valkey, with its port; None: the cache is in memory."""
        if (named := self._named_redis) is None:
            return None
        linked = self.redis_url is not None and not self._redis_port_is_set  # the URL means its scheme's own port
        port = named.port or (REDIS_PORT if linked else int(self.redis_port))
        return replace(named, port=port, password=named.password or self.redis_password)

    @property
    def _named_redis(self) -> RedisServer | None:
        """What `REDIS_URL` or `REDIS_HOST` say alone."""
        text = (self.redis_url or self.redis_host or SecretStr("")).get_secret_value()
        if not text:
            return None
        if self.redis_url is not None or "://" in text:
            return parse_redis(text)
        address = parse_address(text)
        return RedisServer(address.host, address.port)

    @property
    def _redis_port_is_set(self) -> bool:
        """Whether an operator set `REDIS_PORT`, not Kubernetes."""
        return "redis_port" in self.model_fields_set and not isinstance(self.redis_port, _LinkedPort)
