import gzip
import io
import tarfile

import numpy as np
import pytest

from hpunet_jax.data.crop_archives import Archive, Folder


def file_member(name, content=b"content"):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special_member(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return path


def test_members_are_read_in_any_order_and_nothing_is_left_behind(tmp_path):
    rng = np.random.default_rng(0)
    contents = {f"./images/p/{i}.png": rng.bytes(300 * i) for i in range(40)}
    members = [special_member("./images", tarfile.DIRTYPE)]
    members += [file_member(name, content) for name, content in contents.items()]
    path = write_archive(tmp_path / "train.tar.gz", members)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    archive = Archive(path, scratch, progress=False)
    assert archive.names == sorted(name.removeprefix("./") for name in contents)
    for name in reversed(contents):
        assert archive.read(name.removeprefix("./")) == contents[name]
    archive.close()
    assert not any(scratch.iterdir())


def test_a_folder_is_read_as_its_archive_is(tmp_path):
    (tmp_path / "images" / "p").mkdir(parents=True)
    (tmp_path / "images" / "p" / "a.png").write_bytes(b"one")
    folder = Folder(tmp_path)
    assert folder.names == ["images/p/a.png"]
    assert folder.read("images/p/a.png") == b"one"


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (file_member("../evil.png"), "outside"),
        (file_member("images/../../evil.png"), "outside"),
        (file_member("/tmp/evil.png"), "outside"),
        (file_member("images\\..\\..\\evil.png"), "outside"),
        (file_member("C:/evil.png"), "outside"),
        (special_member("../evil", tarfile.DIRTYPE), "outside"),
        (special_member("images/evil.png", tarfile.SYMTYPE, "/etc/passwd"), "link"),
        (special_member("images/evil.png", tarfile.LNKTYPE, "images/a.png"), "link"),
        (special_member("images/evil.png", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (file_member("./images/a.png"), "there twice"),
        (file_member("images/bomb.png", bytes(2**26 + 1)), "expected at most"),
    ],
)
def test_dangerous_members_are_refused_by_name(tmp_path, member, reason):
    members = [file_member("images/a.png"), member, file_member("../second.png")]
    (tmp_path / "inner").mkdir()
    path = write_archive(tmp_path / "inner" / "train.tar.gz", members)
    with pytest.raises(ValueError, match="2 unacceptable members") as error:
        Archive(path, progress=False)
    assert reason in str(error.value)
    assert member[0].name in str(error.value)
    assert "../second.png" in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["inner"]
    assert [entry.name for entry in (tmp_path / "inner").iterdir()] == ["train.tar.gz"]


def test_archives_cut_short_or_changed_anywhere_are_refused(tmp_path):
    rng = np.random.default_rng(1)
    members = [file_member(f"images/{i}.png", rng.bytes(2000)) for i in range(5)]
    path = write_archive(tmp_path / "train.tar.gz", members)
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"train\.tar\.gz is damaged, cut short"):
            Archive(path, progress=False)
    for position in np.linspace(20, len(whole) - 1, 40, dtype=int):
        damaged = bytearray(whole)
        damaged[position] ^= 16
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"train\.tar\.gz is"):
            Archive(path, progress=False)


def test_a_damaged_header_inside_is_not_taken_for_the_end(tmp_path):
    members = [file_member(f"images/{i}.png", b"x" * 600) for i in range(4)]
    path = write_archive(tmp_path / "train.tar.gz", members)
    unpacked = bytearray(gzip.decompress(path.read_bytes()))
    unpacked[2 * 1536 + 150] ^= 1  # the checksum in the third member's header
    path.write_bytes(gzip.compress(unpacked))
    with pytest.raises(ValueError, match="damaged"):
        Archive(path, progress=False)
