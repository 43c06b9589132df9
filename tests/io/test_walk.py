import os

import pytest

from hpunet_jax.io.walk import list_files, walk


@pytest.fixture
def folder(tmp_path):
    """a/1.png, b/2.png, and both as links below `links`."""
    for name in ("a/1.png", "b/2.png", "links/.hidden/3.png", "links/Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "links/of a file.png").symlink_to("../a/1.png")
    (tmp_path / "links/of a folder").symlink_to("../b")
    return tmp_path


def names(folder):
    return [path.relative_to(folder).as_posix() for path in list_files(folder)]


def test_links_to_files_and_folders_are_followed_and_clutter_is_left_out(folder):
    assert names(folder / "links") == ["of a file.png", "of a folder/2.png"]
    assert [place.name for place, _ in walk(folder / "links")] == ["links", "of a folder"]


def test_a_link_to_a_folder_that_it_lies_in_has_an_end(folder):
    (folder / "b/up").symlink_to("..")
    (folder / "a/self").symlink_to(".")
    found = names(folder)
    assert "links/of a folder/2.png" in found
    assert len(found) == len(set(found)) == 4
    (folder / "twice").symlink_to("a")  # no loop: the same files by another name
    assert "twice/1.png" in names(folder)


def test_a_link_that_leads_nowhere_is_named(folder):
    (folder / "a/gone.png").symlink_to("../lost.png")
    with pytest.raises(FileNotFoundError, match=r"a/gone\.png is a link to nothing \(\.\./lost"):
        list_files(folder)


def test_a_name_that_is_no_text_is_named(folder):
    open(os.path.join(os.fsencode(folder), b"a", b"caf\xe9.png"), "w").close()
    with pytest.raises(ValueError, match=r"caf\\udce9\.png in .*/a has a name that is no text"):
        list_files(folder)
