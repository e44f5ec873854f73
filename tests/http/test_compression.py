"""gzip for callers that accept it: tokens are compared whole, qualities are honoured, small bodies are sent plain."""

import asyncio
import gzip
import random

import pytest

from hyperfleet.http.compression import LARGEST_INLINE, SMALLEST, accepts_gzip, compressed

LARGE = b'{"items":[' + b"1," * SMALLEST + b"1]}"


@pytest.mark.parametrize(
    "accepted",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "gzip, deflate",
        "deflate,gzip",
        "deflate , gzip;q=0.5",
        "gzip;q=1",
        "gzip;q=1.000",
        "gzip ; q=0.001",
        "*",
        "*;q=0.1",
        "br, *",
        "gzip, identity",
        "gzip;q=0.5, identity;q=0.5",
        "identity;q=0, gzip",
        "identity;q=0, *",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        ",, gzip",
    ],
)
def test_gzip_is_used_for_callers_that_accept_it(accepted: str) -> None:
    assert accepts_gzip(accepted.encode())


@pytest.mark.parametrize(
    "refused",
    [
        "",
        ",",
        "identity",
        "deflate, br",
        "xgzip",
        "gzipx",
        "gzip2, pack200-gzip",
        "not gzip",
        "gzip;q=0",
        "gzip;q=0.0",
        "gzip;q=0.000",
        "gzip ; Q=0",
        "*;q=0",
        "gzip;q=0, *",
        "*, gzip;q=0",
        "gzip;q=0.2, identity;q=0.3",
        "gzip;q=2",
        "gzip;q=-1",
        "gzip;q=",
        "gzip;q=x",
        "gzip;level=1",
        "gzip;q=0.1234",
    ],
)
def test_gzip_is_not_used_for_callers_that_do_not_accept_it(refused: str) -> None:
    assert not accepts_gzip(refused.encode())


async def test_a_body_of_1_kib_is_compressed_and_a_smaller_one_is_not() -> None:
    assert await compressed(b"x" * SMALLEST, b"gzip") is not None
    assert await compressed(b"x" * (SMALLEST - 1), b"gzip") is None


async def test_a_body_is_not_compressed_without_accept_encoding() -> None:
    assert await compressed(LARGE, None) is None
    assert await compressed(LARGE, b"identity") is None


@pytest.mark.parametrize("body", [LARGE, b"x" * LARGEST_INLINE, b"y" * (LARGEST_INLINE + 1)])
async def test_a_compressed_body_decompresses_to_the_original(body: bytes) -> None:
    packed = await compressed(body, b"gzip")
    assert packed is not None
    assert gzip.decompress(packed) == body
    assert len(packed) < len(body)


async def test_other_requests_are_served_while_a_large_body_is_compressed() -> None:
    turns = 0
    compressing = asyncio.create_task(compressed(random.Random(1).randbytes(1 << 20) * 64, b"gzip"))
    while not compressing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
