import numpy as np
import pytest

from hpunet_jax.checkpoints.crc32c import crc32c, masked_crc32c


def one_bit_at_a_time(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this and the following: RFC 3720, appendix B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_check_values(data, expected):
    assert crc32c(data) == expected


def test_every_length_agrees_with_the_definition():
    data = np.random.default_rng(0).integers(0, 256, 1100, np.uint8)
    for size in [*range(70), 127, 128, 129, 511, 1023, 1024, 1025, 1100]:
        assert crc32c(data[:size]) == one_bit_at_a_time(data[:size].tobytes())


def test_masking_rotates_and_adds_as_leveldb_defines():
    crc = crc32c(b"foo")
    rotated = (masked_crc32c(b"foo") - 0xA282EAD8) % 2**32
    assert (rotated >> 17 | rotated << 15) % 2**32 == crc
