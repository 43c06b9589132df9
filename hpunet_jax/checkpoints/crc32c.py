"""The published LIDC weights (Sec. 3.2): the checksum that guards TF1 checkpoints.

CRC-32C (Castagnoli, RFC 3720) is linear over GF(2), so the checksum of a buffer needs no loop
over its bytes: the buffer is folded in half, its first half moved up to its second by the linear
map "advance over this many zero bytes", until one 32-bit word is left. Each map is a 32x32 bit
matrix applied through four 256-entry tables.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
# Four bytes that take an all-zero register to the prescribed start value 0xFFFFFFFF.
_START = np.array([0x54, 0x64, 0x1F, 0x64], np.uint8)
_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes | np.ndarray) -> int:
    """The CRC-32C checksum of some bytes.

    Args:
      data: bytes, or a uint8 array [n].

    Returns:
      The checksum, 0 to 2**32 - 1.
    """
    data = np.frombuffer(data, np.uint8)
    # Zeros in front do not change a register that starts at zero.
    padding = -len(data) % 4
    words = np.concatenate([np.zeros(padding, np.uint8), _START, data]).view("<u4")
    level = max(int(len(words) - 1).bit_length() - 1, 0)
    while len(words) > 1:
        head = len(words) - 2**level
        moved = _apply(_tables(level), words[:head])
        words = words[head:]
        words[-head:] ^= moved
        level -= 1
    return int(_apply(_tables(0), words)[0]) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """The checksum as LevelDB and TensorFlow store it: rotated by 15 bits, plus a constant.

    Args:
      data: bytes, or a uint8 array [n].

    Returns:
      The masked checksum, 0 to 2**32 - 1.
    """
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


@functools.cache
def _matrix(level: int) -> np.ndarray:
    """Images [32] uint32 of the 32 bits when the register advances over 2**level zero words."""
    if level:
        half = _matrix(level - 1)
        return _apply(_tables(level - 1), half)
    images = np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32))
    for _ in range(32):
        images = (images >> 1) ^ np.where(images & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return images


@functools.cache
def _tables(level: int) -> np.ndarray:
    """The map of `_matrix(level)` for each value of each of the four bytes: [4, 256] uint32."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    images = _matrix(level).reshape(4, 1, 8)
    return np.bitwise_xor.reduce(np.where(bits, images, np.uint32(0)), axis=-1)


def _apply(tables: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Applies the linear map of `tables` to each of the words [n] uint32."""
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8).reshape(-1, 4)
    result = tables[0].take(octets[:, 0])
    for k in range(1, 4):
        result ^= tables[k].take(octets[:, k])
    return result
