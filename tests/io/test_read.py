"""How image files are read: a test for each row of the table in docs/data.md."""

import contextlib
import functools
import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, PngImagePlugin

from hpunet_jax.io import decode_image, decode_labels, fit_channels, read_image, read_labels
from hpunet_jax.io.stored import upright

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7)).astype(np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)
GREY16 = RNG.integers(0, 2**16, (5, 7)).astype(np.uint16)
RGB16 = RNG.integers(0, 2**16, (5, 7, 3)).astype(np.uint16)
BITS = GREY > 100


def pillow(pixels, kind="PNG", **options):
    """The content of an image file that Pillow writes."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels, **options):
    """The content of an image file that tifffile writes."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def image(data):
    return decode_image(data, "file").array


def labels(data):
    return decode_labels(data, "file").array


def same(found, expected):
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("pixels", [GREY, RGB, GREY16, RGB16], ids=lambda p: f"{p.dtype}{p.ndim}")
@pytest.mark.parametrize("write", [imagecodecs.png_encode, tiff], ids=["png", "tiff"])
def test_8_and_16_bits_grey_and_rgb_keep_their_values(write, pixels):
    same(image(write(pixels)), pixels.reshape(5, 7, -1))


@pytest.mark.parametrize("kind", ["BMP", "WEBP"])
def test_bmp_and_webp_are_read(kind):
    same(image(pillow(RGB, kind, **{"lossless": True} if kind == "WEBP" else {})), RGB)


def test_jpeg_is_read_and_an_mpo_gives_its_first_picture():
    options = {"quality": 100, "subsampling": 0}
    assert np.abs(image(pillow(RGB, "JPEG", **options)).astype(int) - RGB).mean() < 3
    other = [Image.fromarray(255 - RGB)]
    photograph = pillow(RGB, "MPO", save_all=True, append_images=other, **options)
    assert np.abs(image(photograph).astype(int) - RGB).mean() < 3
    assert image(pillow(GREY, "JPEG")).shape == (5, 7, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"},
        {"compression": "deflate", "predictor": True},
        {"compression": "packbits"},
        {"compression": "zstd"},
        {"tile": (16, 16), "compression": "lzw"},
        {"bigtiff": True},
        {"byteorder": ">"},
    ],
    ids=str,
)
def test_tiff_of_any_compression_and_order_of_bytes_is_read(options):
    same(image(tiff(GREY16, **options)), GREY16[..., None])


def test_tiff_with_separate_colours_is_read():
    planes = np.ascontiguousarray(np.moveaxis(RGB16, -1, 0))
    same(image(tiff(planes, photometric="rgb", planarconfig="separate")), RGB16)


def test_tiff_compressed_as_jpeg_is_read_in_its_colours():
    smooth = np.zeros((32, 32, 3), np.uint8) + np.array([200, 100, 30], np.uint8)
    found = image(pillow(smooth, "TIFF", compression="jpeg"))
    assert np.abs(found.astype(int) - smooth).max() < 8


@pytest.mark.parametrize("pixels", [GREY, GREY16])
def test_tiff_whose_white_is_0_is_inverted_whatever_its_bits(pixels):
    data = tiff(np.iinfo(pixels.dtype).max - pixels, photometric="miniswhite")
    same(image(data), pixels[..., None])
    values = GREY.astype(np.float32)
    with pytest.raises(ValueError, match=r"0 is white \(MinIsWhite\).* float32"):
        image(tiff(values, photometric="miniswhite"))


def test_one_bit_is_black_and_white_in_images_and_0_and_1_in_labels():
    for data in (pillow(BITS), pillow(BITS, "TIFF"), pillow(BITS, "TIFF", compression="group4")):
        same(image(data), np.where(BITS, 255, 0).astype(np.uint8)[..., None])
        same(labels(data), BITS.astype(np.uint8))


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_are_stretched_in_images_and_kept_in_labels(bits):
    values = (GREY % 2**bits).astype(np.uint8)
    data = raw_png(values, bits)
    same(image(data)[..., 0], values * (255 // (2**bits - 1)))
    same(labels(data), values)


def test_12_bits_of_a_tiff_are_stretched_to_16():
    values = (GREY16 % 4096).astype(np.uint16)
    data = tiff(values, bitspersample=12)
    found = image(data)[..., 0]
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found / 65535, values / 4095, atol=1 / 65535)
    same(labels(data), values)


def raw_png(values, bits):
    """A grey PNG of fewer than 8 bits, which Pillow does not write."""
    per_byte = 8 // bits
    rows = b""
    for row in values:
        padded = np.pad(row, (0, -len(row) % per_byte)).reshape(-1, per_byte)
        shifts = 8 - bits * np.arange(1, per_byte + 1)
        rows += b"\0" + (padded.astype(int) << shifts).sum(axis=1).astype(np.uint8).tobytes()

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", *values.shape[::-1], bits, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_palettes_are_colours_in_images_and_indices_in_labels(kind):
    indices = (GREY % 4).astype(np.uint8)
    paletted = Image.fromarray(indices)
    colours = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]], np.uint8)
    paletted.putpalette(colours.ravel().tolist())
    data = pillow(paletted, kind)
    same(image(data), colours[indices])
    same(labels(data), indices)


def test_palettes_of_grey_values_are_grey_in_images_and_labels():
    indices = (GREY % 3).astype(np.uint8)
    paletted = Image.fromarray(indices)
    greys = np.array([255, 0, 1], np.uint8)  # an index by frequency, not by class
    paletted.putpalette(np.repeat(greys, 3).tolist())
    same(image(pillow(paletted)), greys[indices][..., None])
    same(labels(pillow(paletted)), greys[indices])


@pytest.mark.parametrize(
    ("pixels", "kind"), [(p, kind) for p in (GREY, RGB, GREY16, RGB16) for kind in ("PNG", "TIFF")]
)
def test_an_opaque_transparency_is_left_out_and_another_refused(pixels, kind):
    if kind == "TIFF":
        photometric = "rgb" if pixels.ndim == 3 else "minisblack"
        write = functools.partial(tiff, photometric=photometric, extrasamples=["unassalpha"])
    else:
        write = imagecodecs.png_encode
    most = np.iinfo(pixels.dtype).max
    alpha = np.full((5, 7, 1), most, pixels.dtype)
    colours = pixels.reshape(5, 7, -1)
    same(image(write(np.concatenate([colours, alpha], axis=-1))), colours)
    alpha[0, 0] = most - 1
    with pytest.raises(ValueError, match="file is transparent in places"):
        image(write(np.concatenate([colours, alpha], axis=-1)))


def test_a_transparent_colour_must_not_occur():
    grey = np.where(GREY == 7, 8, GREY).astype(np.uint8)
    same(image(pillow(grey, transparency=7)), grey[..., None])
    with pytest.raises(ValueError, match="file is transparent in places"):
        image(pillow(grey, transparency=int(grey[0, 0])))


def test_a_transparent_colour_of_16_bits_must_not_occur():
    def with_transparency(colour):
        data = imagecodecs.png_encode(RGB16)
        chunk = b"tRNS" + np.asarray(colour, ">u2").tobytes()
        chunk = len(chunk[4:]).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
        start = data.index(b"IDAT") - 4
        return data[:start] + chunk + data[start:]

    same(image(with_transparency([1, 2, 3])), RGB16)
    with pytest.raises(ValueError, match="file is transparent in places"):
        image(with_transparency(RGB16[0, 0]))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_images_and_labels_are_set_upright_in_all_formats_alike(orientation):
    smooth = np.linspace(0, 255, 16 * 24 * 3).reshape(16, 24, 3).astype(np.uint8)
    buffer = pillow(smooth, exif=exif(orientation))
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(buffer))))
    for data in (
        buffer,
        tiff(smooth, extratags=[(274, 3, 1, orientation, True)]),
        pillow(smooth, "WEBP", lossless=True, exif=exif(orientation)),
    ):
        same(image(data), expected)
        assert decode_image(data, "file").turned == (orientation > 1)
    jpeg = image(pillow(smooth, "JPEG", quality=100, exif=exif(orientation)))
    assert jpeg.shape == expected.shape
    assert np.abs(jpeg.astype(int) - expected).mean() < 3
    mask = (smooth[..., 0] // 64).astype(np.uint8)
    turned = labels(pillow(mask, exif=exif(orientation)))
    same(turned, upright(mask, orientation))
    sixteen = tiff(RGB16, extratags=[(274, 3, 1, orientation, True)])
    same(image(sixteen), upright(RGB16, orientation))


def test_grey_becomes_rgb_and_rgb_becomes_grey_only_where_it_is_grey():
    grey = decode_image(pillow(GREY), "grey.png")
    same(fit_channels(grey, 3), GREY[..., None].repeat(3, axis=-1))
    stored_as_rgb = decode_image(pillow(GREY[..., None].repeat(3, axis=-1)), "rgb.png")
    same(fit_channels(stored_as_rgb, 1), GREY[..., None])
    with pytest.raises(ValueError, match=r"colours\.png has colours, .* 1 channel\(s\)"):
        fit_channels(decode_image(pillow(RGB), "colours.png"), 1)


def test_labels_of_any_integer_type_and_whole_floats_are_read():
    for dtype in (np.uint16, np.int32, np.uint32, np.float32):
        found = labels(tiff(GREY.astype(dtype)))
        assert np.issubdtype(found.dtype, np.integer)
        np.testing.assert_array_equal(found, GREY)
    same(labels(pillow(GREY[..., None].repeat(3, axis=-1))), GREY)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pillow(GREY, "JPEG"), "file holds no labels that can be trusted: JPEG"),
        (tiff(GREY + np.float32(0.5)), "file has values that are no whole numbers"),
        (tiff(np.full((3, 3), np.nan, np.float32)), "file has values that are no whole numbers"),
        (pillow(RGB), "file has colours"),
    ],
    ids=["jpeg", "halves", "nan", "colours"],
)
def test_what_can_be_no_labels_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        labels(data)


def long_text():
    text = PngImagePlugin.PngInfo()
    text.add_text("history", "x" * 2_000_000, zip=True)
    return pillow(GREY, pnginfo=text)


def unknown_compression():
    data = bytearray(tiff(GREY, compression="lzw"))
    entry = data.find(b"\x03\x01\x03\x00\x01\x00\x00\x00")  # tag 259, a short
    data[entry + 8 : entry + 10] = (34661).to_bytes(2, "little")
    return bytes(data)


def huge(kind):
    """A file of 196 megapixels in a few bytes."""
    black = Image.new("1", (14000, 14000))
    return pillow(black, kind, **{"compression": "group4"} if kind == "TIFF" else {})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"", "file is empty: it has 0 bytes"),
        (lambda: b"no image", "file is no PNG, JPEG, TIFF, BMP or WebP file, or damaged at its"),
        (lambda: pillow(RGB, "GIF"), "file is no PNG, JPEG, TIFF, BMP or WebP file"),
        (lambda: pillow(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "file has CMYK colours"),
        (
            lambda: pillow(Image.fromarray(RGB).convert("CMYK"), "TIFF"),
            "file has SEPARATED colours",
        ),
        (
            lambda: pillow(RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)]),
            "file has 2 frames: expected one image",
        ),
        (lambda: tiff(np.stack([GREY, GREY])), "file has 2 pages: expected one image"),
        (lambda: tiff(np.stack([GREY, GREY]), imagej=True), r"several meanings \(2 along C"),
        (lambda: tiff(GREY.astype(np.float32)), "file has float32 values, from 0 to 2"),
        (lambda: tiff(GREY.astype(np.int16)), "file has int16 values, from "),
        (
            lambda: tiff(np.stack([GREY] * 5, axis=-1), photometric="minisblack", planarconfig=1),
            "file has 5 channels: expected 1",
        ),
        (long_text, r"file holds a text \(metadata\) longer than the 1 MiB"),
        (unknown_compression, "file is compressed by JBIG, for which there is no decoder"),
        (lambda: huge("PNG"), "file has more pixels than the 178,956,970"),
        (lambda: huge("TIFF"), "file has 14,000x14,000 pixels, more than the 178,956,970"),
    ],
    ids=lambda value: value[5:30] if isinstance(value, str) else "",
)
def test_what_is_whole_but_cannot_be_read_is_named_for_what_it_is(make, message):
    with pytest.raises(ValueError, match=message) as error:
        image(make())
    assert "file is damaged" not in str(error.value)


def test_a_missing_decoder_and_a_full_memory_are_no_damage(monkeypatch):
    def fails(error):
        def decode(*_, **__):
            raise error

        return decode

    data = tiff(GREY, compression="lzw")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", fails(MemoryError()))
    with pytest.raises(ValueError, match="file needs more memory to be unpacked than there is"):
        image(data)
    data = pillow(GREY)
    monkeypatch.setattr(Image.Image, "load", fails(OSError("decoder webp not available")))
    with pytest.raises(ValueError, match=r"file needs a decoder that is not there \(decoder webp"):
        image(data)


class Damaged(Exception):
    """The file was said to be damaged."""


def image_or_damaged(data):
    try:
        return image(data)
    except ValueError as error:
        if "damaged" in str(error):
            raise Damaged from error
        raise


BIG = RNG.integers(0, 256, (40, 40)).astype(np.uint8)


@pytest.mark.parametrize(
    "data",
    [
        pillow(GREY),
        imagecodecs.png_encode(RGB16),
        pillow(BIG, "JPEG"),
        tiff(BIG),
        tiff(BIG, compression="lzw", tile=(16, 16)),
        tiff(BIG, compression="jpeg"),
        pillow(BIG, "BMP"),
    ],
    ids=["png", "png16", "jpeg", "tiff", "lzw", "tiff-jpeg", "bmp"],
)
def test_a_file_that_is_cut_short_is_damaged_and_never_half_an_image(data):
    whole = image(data)
    for size in sorted({1, 2, 3, 9, 30, *range(50, len(data), 37)}):
        with contextlib.suppress(Damaged):
            same(image_or_damaged(data[:size]), whole)  # what is missing was no pixel


def test_any_changed_byte_of_a_png_is_damage():
    for data in (pillow(GREY), imagecodecs.png_encode(RGB16)):
        for position in range(len(data) - 12):  # the last twelve bytes only mark the end
            changed = bytearray(data)
            changed[position] ^= 4
            with pytest.raises(ValueError, match="damaged"):
                image(bytes(changed))


def test_files_that_may_not_be_read_or_are_not_there_are_no_damage(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"nothing\.png does not exist"):
        read_image(tmp_path / "nothing.png")

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", forbidden)
    with pytest.raises(PermissionError, match=r"secret\.png may not be read by this user"):
        read_labels(tmp_path / "secret.png")
