"""The webhook: what it posts, how often it retries, and that its waits are bounded."""

import asyncio
import hashlib
import hmac
import time

import pytest

from bonafide.live.webhook import SIGNATURE_HEADER, Webhook
from bonafide.settings import Settings
from bonafide.telemetry import WEBHOOKS
from tests.bonafide.live.receiver import receiver
from tests.servers import free_port

ATTEMPTS = 5
OK = b"HTTP/1.1 200 OK\r\n"


async def closed(webhook: Webhook, within_s: float = 5.0) -> None:
    await webhook.close(within_s)
    await asyncio.sleep(0.05)  # its connections close a moment later


async def test_a_document_arrives_signed() -> None:
    async with receiver() as told:
        webhook = Webhook(told.url, "secret")
        webhook.post(b'{"call_id": "1"}')
        await told.wait_for(1)
        await closed(webhook)
        signature = hmac.new(b"secret", told.bodies[0], hashlib.sha256).hexdigest()
        assert told.bodies == [b'{"call_id": "1"}']
        assert f"{SIGNATURE_HEADER}: sha256={signature}" in told.heads[0]
        assert "content-type: application/json" in told.heads[0]


async def test_without_a_secret_nothing_is_signed() -> None:
    async with receiver() as told:
        webhook = Webhook(told.url, "")
        webhook.post(b"{}")
        await told.wait_for(1)
        await closed(webhook)
        assert SIGNATURE_HEADER not in told.heads[0]


@pytest.mark.parametrize(("answers", "attempts"), [([500, 429, 200], 3), ([404], 1), ([302], 1), ([503] * 9, 5)])
async def test_it_tries_again_when_the_other_side_has_a_problem(answers: list[int], attempts: int) -> None:
    async with receiver() as told:
        told.answers = list(answers)
        webhook = Webhook(told.url, "", first_pause_s=0.001)
        webhook.post(b"{}")
        await closed(webhook, 60)
        assert len(told.bodies) == attempts


@pytest.mark.parametrize(("status", "outcome"), [(204, "delivered"), (302, "refused"), (410, "refused")])
async def test_a_redirect_is_no_delivery(status: int, outcome: str) -> None:
    async with receiver() as told:
        told.answers = [status]
        webhook = Webhook(told.url, "")
        assert await webhook.deliver(b"{}") == outcome
        await closed(webhook)


async def test_nobody_there_ends_after_some_attempts(caplog: pytest.LogCaptureFixture) -> None:
    webhook = Webhook(f"http://127.0.0.1:{free_port()}/", "very-secret", first_pause_s=0.001)
    webhook.post(b"{}")
    await closed(webhook, 60)
    assert "not delivered" in caplog.text
    assert "very-secret" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nOK",
        OK + b"transfer-encoding: chunked\r\n\r\nnot hexadecimal\r\n",
        OK + b"content-type: text/html; charset=\xff\r\ncontent-length: 2\r\n\r\nOK",
        OK + b"content-length: 1000000\r\n\r\nand no more",
        OK + b"\r\n",
    ],
)
async def test_only_the_status_of_an_answer_counts(answer: bytes) -> None:
    async with receiver() as told:
        told.answers = [answer]
        webhook = Webhook(told.url, "", first_pause_s=0.001)
        async with asyncio.timeout(30):
            assert await webhook.deliver(b"{}") == "delivered"
        assert len(told.bodies) == 1
        await closed(webhook)


async def test_an_attempt_has_one_limit_whatever_the_receiver_sends() -> None:
    async with receiver() as told:
        told.answers = [OK + b"x: " + b"y" * 1_000] * ATTEMPTS
        told.pause_s = 0.02
        webhook = Webhook(told.url, "", first_pause_s=0.001, timeout_s=0.1)
        began = time.monotonic()
        assert await webhook.deliver(b"{}") == "failed"
        assert time.monotonic() - began < 10
        assert len(told.bodies) == ATTEMPTS
        await closed(webhook)


async def test_waiting_for_a_connection_is_no_part_of_an_attempt() -> None:
    async with receiver() as told:
        told.pause_s = 0.3
        webhook = Webhook(told.url, "", timeout_s=2.0)
        for _ in range(60):
            webhook.post(b"{}")
        await closed(webhook, 60)
        assert len(told.bodies) == 60


async def test_receivers_set_no_cookies() -> None:
    async with receiver() as told:
        told.answers = [OK + b"set-cookie: a=" + b"b" * 1_000 + b"\r\ncontent-length: 0\r\n\r\n"]
        webhook = Webhook(told.url, "")
        for _ in range(2):
            assert await webhook.deliver(b"{}") == "delivered"
        assert "cookie" not in told.heads[1].lower()
        await closed(webhook)


@pytest.mark.parametrize("url", [" http://127.0.0.1:1/", "http://127.0.0.1:x/", "ftp://127.0.0.1/", "nowhere"])
async def test_what_is_no_address_is_not_tried_again(url: str) -> None:
    webhook = Webhook("", "", first_pause_s=1_000)
    async with asyncio.timeout(30):
        assert await webhook.deliver(b"{}", url) == "refused"
    await closed(webhook)


async def test_a_bug_is_logged_and_counted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    webhook = Webhook("http://127.0.0.1:1/", "")
    monkeypatch.setattr(webhook, "_attempt", None)
    before = WEBHOOKS.labels("failed")._value.get()
    webhook.post(b"{}")
    await closed(webhook)
    assert WEBHOOKS.labels("failed")._value.get() == before + 1
    assert "TypeError" in caplog.text


async def test_leaving_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async with receiver() as told:
        told.answers = [500]
        webhook = Webhook(told.url, "", first_pause_s=1_000)
        webhook.post(b"{}")
        await told.wait_for(1)
        async with asyncio.timeout(30):
            await closed(webhook, 0.05)
    assert "not delivered" in caplog.text


async def test_what_waits_is_bounded() -> None:
    async with receiver() as told:
        told.answers = [500] * 1_000
        webhook = Webhook(told.url, "", first_pause_s=1_000)
        for _ in range(300):
            webhook.post(b"{}")
        await told.wait_for(200)
        assert len(told.bodies) == 200
        await closed(webhook, 0.05)


async def test_the_last_document_of_each_call_has_room_when_all_end_at_once() -> None:
    settings = Settings.model_validate({"webhook_url": "http://127.0.0.1:9/", "live_max_sessions": 56})
    webhook = Webhook.from_settings(settings)
    assert webhook is not None
    dropped = WEBHOOKS.labels("dropped")
    before = dropped._value.get()
    for _ in range(200):
        webhook.post(b"{}")
    for _ in range(56):
        webhook.post(b"{}", last=True)
    assert dropped._value.get() == before
    webhook.post(b"{}")
    webhook.post(b"{}", last=True)
    assert dropped._value.get() == before + 2
    await closed(webhook, 0)


def test_no_address_no_webhook() -> None:
    assert Webhook.from_settings(Settings()) is None
