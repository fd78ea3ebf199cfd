"""The webhook: what it posts, how often it retries, and that its waits are bounded."""

import asyncio
import hashlib
import hmac

import pytest

from bonafide.live.webhook import SIGNATURE_HEADER, Webhook
from bonafide.settings import Settings
from tests.bonafide.live.receiver import receiver
from tests.servers import free_port


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


async def test_nobody_there_ends_after_some_attempts(caplog: pytest.LogCaptureFixture) -> None:
    webhook = Webhook(f"http://127.0.0.1:{free_port()}/", "very-secret", first_pause_s=0.001)
    webhook.post(b"{}")
    await closed(webhook, 60)
    assert "not delivered" in caplog.text
    assert "very-secret" not in caplog.text


async def test_leaving_does_not_wait_for_ever() -> None:
    async with receiver() as told:
        told.answers = [500]
        webhook = Webhook(told.url, "", first_pause_s=1_000)
        webhook.post(b"{}")
        await told.wait_for(1)
        async with asyncio.timeout(30):
            await closed(webhook, 0.05)


async def test_what_waits_is_bounded() -> None:
    async with receiver() as told:
        told.answers = [500] * 1_000
        webhook = Webhook(told.url, "", first_pause_s=1_000)
        for _ in range(300):
            webhook.post(b"{}")
        await told.wait_for(200)
        assert len(told.bodies) == 200
        await closed(webhook, 0.05)


def test_no_address_no_webhook() -> None:
    assert Webhook.from_settings(Settings()) is None
