"""The response to a client that is refused while it still sends."""

import asyncio


async def curl(url: str, body: bytes) -> bytes:
    """Posts a body, and returns that of the response.

    In a process of its own: httpx loses the response, and aiohttp leaves a connection with what it has not sent.
    """
    command = ("curl", "-sS", "--data-binary", "@-", url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    answer, _ = await asyncio.wait_for(process.communicate(body), 60)
    return answer
