"""Tiles: how an image is covered with parts that the network sees at once."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

TILE = (1024, 1024)
"""Height and width up to which an image is sampled at once, unless a config says otherwise."""

Size = tuple[int, int]


class Tile(NamedTuple):
    """A part of a padded image that the network sees at once.

    Attributes:
      seen: slices of the padded image.
      kept: slices of a map of the padded image that take their values from this tile.
      inside: the same pixels as slices of the tile.
    """

    seen: tuple[slice, slice]
    kept: tuple[slice, slice]
    inside: tuple[slice, slice]


class Plan(NamedTuple):
    """How an image is covered.

    Attributes:
      size: height and width to which it is padded.
      tile: height and width of every tile.
      tiles: the tiles, of which each pixel is kept by one.
    """

    size: Size
    tile: Size
    tiles: tuple[Tile, ...]


def plan_tiles(size: Sequence[int], multiple: int, greatest: Sequence[int] = TILE) -> Plan:
    """Covers an image with tiles.

    Images that fit into a tile are padded to few sizes, as the network is compiled for each: in
    units of the multiple up to 8, then four steps for each doubling, so by less than a quarter
    (and the rounding to the multiple). Tiles of larger images overlap by a quarter of their side,
    at least by one multiple, and begin at multiples, so that their latents lie on the image's grid.

    Args:
      size: height and width of the image.
      multiple: `network.size_multiple`.
      greatest: greatest height and width of a tile; rounded down to multiples, at least to one.

    Returns:
      The plan.
    """
    sides = [_cover(n, multiple, most) for n, most in zip(size, greatest, strict=True)]
    tiles = []
    for down, across in itertools.product(*(parts for _, _, parts in sides)):
        seen, kept, inside = zip(down, across, strict=True)
        tiles.append(Tile(seen, kept, inside))
    (height, tile_height, _), (width, tile_width, _) = sides
    return Plan((height, width), (tile_height, tile_width), tuple(tiles))


def _cover(length: int, multiple: int, greatest: int) -> tuple[int, int, list]:
    """The padded length of an axis, that of a tile, and the slices (seen, kept, inside)."""
    tile = max(multiple, greatest // multiple * multiple)
    units = max(1, -(-length // multiple))
    if units * multiple <= tile:
        step = 2 ** max(0, (units - 1).bit_length() - 3)
        padded = min(tile, -(-units // step) * step * multiple)
        whole = slice(0, padded)
        return padded, padded, [(whole, whole, whole)]
    padded = units * multiple
    overlap = min(max(multiple, tile // 4 // multiple * multiple), tile - multiple)
    starts = [*range(0, padded - tile, tile - overlap), padded - tile]
    seams = [(b + a + tile) // 2 for a, b in itertools.pairwise(starts)]
    edges = [0, *seams, padded]
    return (
        padded,
        tile,
        [
            (slice(start, start + tile), slice(a, b), slice(a - start, b - start))
            for start, (a, b) in zip(starts, itertools.pairwise(edges), strict=True)
        ],
    )
