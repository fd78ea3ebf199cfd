"""Addresses as operators write them; the text of an error never shows one, since it may hold a password."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bonafide.addresses import (
    Address,
    RedisServer,
    join_address,
    parse_address,
    parse_endpoint,
    parse_host,
    parse_ip,
    parse_redis,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("::FFFF:0:0", "0.0.0.0"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_an_ipv4_address_that_ipv6_carries_is_that_address(text: str, address: str) -> None:
    assert str(parse_ip(text)) == address


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        parse_ip("localhost")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("redis", "redis", None),
        (" redis.internal.example. ", "redis.internal.example.", None),
        ("a_b:6380", "a_b", 6380),
        ("10.0.0.1:1", "10.0.0.1", 1),
        ("::", "::", None),
        ("::1", "::1", None),
        ("fd00::6379", "fd00::6379", None),
        ("[::1]", "::1", None),
        ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
    ],
)
def test_hosts_with_and_without_a_port(text: str, host: str, port: int | None) -> None:
    assert parse_address(text) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":6379", "h:", "h:0", "h:65536", "h:6379:1", "h:port", "[::1", "::1]", "[::1]:", "[h]:1", "a b", "a,b", "'h'",
     '"h"', "h/", "user@h", "-h", "http://h"],
)  # fmt: skip
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_address(text)


def test_where_servers_listen() -> None:
    assert [parse_host(text) for text in ("::", "[::]", "0.0.0.0", "localhost")] == ["::", "::", "0.0.0.0", "localhost"]
    with pytest.raises(ValueError, match="without a port"):
        parse_host("0.0.0.0:50051")
    assert [join_address(*each) for each in (("::", 1), ("h", 2), ("::1", None))] == ["[::]:1", "h:2", "[::1]"]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("redis://h", RedisServer("h")),
        ("REDIS://h:1/", RedisServer("h", 1)),
        ("valkey://h/2", RedisServer("h", db=2)),
        ("redis://h?db=3", RedisServer("h", db=3)),
        ("rediss://[::1]:6380/0", RedisServer("::1", 6380, tls=True)),
        ("redis://:p%40ss%2F%23@h", RedisServer("h", password=SecretStr("p@ss/#"))),
        ("rediss://me:a:b@h:7/1", RedisServer("h", 7, tls=True, username="me", password=SecretStr("a:b"), db=1)),
        ("unix:///run/redis.sock", RedisServer(path="/run/redis.sock")),
        ("unix://me:pw@/run/a%20b?db=4", RedisServer(path="/run/a b", username="me", password=SecretStr("pw"), db=4)),
    ],
)
def test_urls_of_redis(text: str, server: RedisServer) -> None:
    assert parse_redis(text) == server


@pytest.mark.parametrize(
    "text",
    ["h", "http://h", "redis://", "redis://:hunter2/x@h", "redis://:hunter2#@h", "redis://u:12?hunter2@h",
     "redis://u:12/hunter2@h", "redis://h/hunter2", "redis://h?password=hunter2", "redis://h/1?db=2", "redis://h:99999",
     "redis://h?ssl_cert_reqs=none", "unix://h/path", "unix://", "redis://[::1", "redis://::1:6379", "redis://h,hunter2"],
)  # fmt: skip
def test_wrong_urls_of_redis_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="must") as wrong:
        parse_redis(text)
    assert "hunter2" not in str(wrong.value)
    assert wrong.value.__cause__ is None


@given(st.text(), st.sampled_from(["", "redis://", "unix://", "http://"]))
def test_any_text_is_read_or_refused_with_a_value_error(text: str, scheme: str) -> None:
    for parse in (parse_address, parse_host, parse_redis, parse_endpoint):
        with suppress(ValueError):
            parse(scheme + text)


@pytest.mark.parametrize(
    ("text", "secure", "address"),
    [
        ("minio:9000", None, "minio:9000"),
        ("::1", None, "[::1]"),
        ("http://[::1]:9000/", False, "[::1]:9000"),
        ("https://s3.example.com", True, "s3.example.com"),
    ],
)
def test_endpoints(text: str, secure: bool | None, address: str) -> None:
    assert parse_endpoint(text) == (secure, address)


@pytest.mark.parametrize(
    "text", ["ftp://h", "http://", "http://::1:9000", "http://key:hunter2@h", "h:9000/bucket", "https://h/bucket"]
)
def test_wrong_endpoints_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="must") as wrong:
        parse_endpoint(text)
    assert "hunter2" not in str(wrong.value)
