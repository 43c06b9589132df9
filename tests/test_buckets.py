"""Buckets by real clients and servers: names, whole objects, claims, refusals, lost connections."""

import contextlib
import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from etils import epath

from hpunet_jax import buckets, claims, files
from hpunet_jax.buckets import BucketError, place
from hpunet_jax.claims import FolderInUseError, claimed
from hpunet_jax.folders import check_local, used_alone
from tests.buckets import BUCKET, REFUSING, S3, clients_of, gs_server

pytestmark = pytest.mark.xdist_group("buckets")


@pytest.fixture(scope="module")
def s3_server():
    server = S3()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gs_port():
    with gs_server() as port:
        yield port


@pytest.fixture
def both(s3_server, gs_port, monkeypatch):
    """An S3 and a GCS."""
    with clients_of(monkeypatch, s3_server.port, gs_port):
        yield


@pytest.fixture(params=["s3", "gs", "disk"])
def folder(request, tmp_path):
    """A folder in a bucket of each kind, and on a disk: they behave alike."""
    if request.param == "disk":
        return tmp_path / "folder"
    request.getfixturevalue("both")
    return place(f"{request.param}://{BUCKET}/{tmp_path.name}", "folder")


NAMES = ["a b", "grüße", "#1", "50%", "50%25", "[1]", "a=1,b=2", "x+y", "ä/ö ü/z", "q?", "*"]


def test_files_of_any_name_come_back_as_they_were(folder):
    for name in NAMES:
        with files.write_aside(folder / name) as aside:
            aside.write_text(name)
    assert [files.read_bytes(folder / name).decode() for name in NAMES] == NAMES
    assert files.names_in(folder) == sorted({name.split("/")[0] for name in NAMES})
    assert files.is_folder(folder / "ä")
    assert files.is_file(folder / "ä/ö ü/z")
    assert not files.is_file(folder / "ä")
    for name in NAMES:
        files.remove(folder / name)
        files.remove(folder / name)  # is gone already
        assert not files.exists(folder / name)
    with pytest.raises(FileNotFoundError, match="50%"):
        files.read_bytes(folder / "50%")


def test_a_writer_that_fails_leaves_what_was_there(folder):
    with files.write_aside(folder / "file.txt") as aside:
        aside.write_text("old")
    with contextlib.suppress(ZeroDivisionError), files.write_aside(folder / "file.txt") as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert files.read_bytes(folder / "file.txt") == b"old"
    assert files.names_in(folder) == ["file.txt"]


def test_of_several_that_create_a_file_one_does(folder):
    assert [files.create(folder / "one", text.encode()) for text in "abc"] == [True, False, False]
    if isinstance(folder, pathlib.Path):  # also for who shares the folder
        (folder / "another").touch()
        assert (folder / "one").stat().st_mode == (folder / "another").stat().st_mode
    assert files.read_bytes(folder / "one") == b"a"


def assert_taken(claim, message):
    with pytest.raises(FolderInUseError, match=message), claimed(claim):
        pass


def test_a_claim_is_held_by_one_and_given_back(folder):
    claim = folder / "run" / ".claim"
    with claimed(claim):
        assert_taken(claim, rf"run is in use by process {os.getpid()} on ")
    assert not files.names_in(claim)
    with claimed(claim):
        pass


def dead_owner(**changes):
    owner = {"pid": 1, "host": ["elsewhere"], "since": "then", "seen": time.time()}
    return json.dumps({**owner, **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [{"seen": time.time() - 2 * claims.DEAD_SECONDS}, {"host": claims._host(), "pid": 2**22 + 1}],
)
def test_a_dead_machines_claim_is_taken_over(tmp_path, changes):
    files.create(tmp_path / ".claim" / "1", dead_owner(**changes))
    with claimed(tmp_path / ".claim"):
        assert files.names_in(tmp_path / ".claim") == ["1", "2"]
    assert files.names_in(tmp_path / ".claim") == []


def test_a_living_claim_of_another_machine_is_respected(tmp_path):
    files.create(tmp_path / ".claim" / "1", dead_owner())
    assert_taken(tmp_path / ".claim", "process 1 on elsewhere since then")
    assert files.names_in(tmp_path / ".claim") == ["1"]


@pytest.fixture
def _ctrl_c():
    """Ctrl-C is listened to, even where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def taken(folder):
    files.create(folder / "2", dead_owner())


def taken_and_given_back(folder):
    files.remove(folder / "1")


def taken_given_back_and_taken_by_a_third(folder):
    with files.write_aside(folder / "1") as aside:
        aside.write_bytes(dead_owner(token="a third's"))


@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize(
    ("lose", "left"),
    [
        (taken, ["1", "2"]),
        (taken_and_given_back, []),
        (taken_given_back_and_taken_by_a_third, ["1"]),
    ],
)
def test_an_owner_that_slept_ends_once_its_claim_was_taken(tmp_path, monkeypatch, lose, left):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    ended = pytest.raises(KeyboardInterrupt)
    with ended, claimed(tmp_path / ".claim"):
        first = files.read_bytes(tmp_path / ".claim" / "1")
        time.sleep(0.2)
        assert files.read_bytes(tmp_path / ".claim" / "1") != first  # it is renewed
        lose(tmp_path / ".claim")
        time.sleep(5)
    assert files.names_in(tmp_path / ".claim") == left  # the other's is untouched


def test_so_does_one_in_the_background_of_a_script_which_ignores_ctrl_c(tmp_path):
    program = f"""
        import signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from hpunet_jax import claims, files
        claims.BEAT_SECONDS = 0.02
        with claims.claimed({os.fspath(tmp_path)!r}):
            files.create(claims.place({os.fspath(tmp_path)!r} + "/2", ""), b"")
            time.sleep(60)
    """
    started = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(started, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "was taken over by another machine" in done.stderr


def test_a_file_that_is_no_claim_is_named(tmp_path):
    files.create(tmp_path / "run" / ".claim" / "1", b"{}")
    assert_taken(tmp_path / "run" / ".claim", r"\.claim/1 is no claim of a run: remove it")


def test_a_folder_is_used_by_one_also_where_the_file_system_has_no_locks(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    with used_alone(tmp_path):
        assert_taken(tmp_path / ".lock", "is in use by process")
    with used_alone(tmp_path):
        pass


def test_a_folder_in_a_bucket_is_used_by_one(both):
    run = place(f"s3://{BUCKET}/used", "x")
    with used_alone(run):
        assert_taken(run / ".lock", "s3://runs/used is in use")


@pytest.mark.parametrize(
    "address", ["s3://bucket/run", "gs://bucket/run", pathlib.Path("gs://bucket/run")]
)
def test_an_address_is_a_place_also_where_pathlib_took_a_slash(address):
    assert str(place(address, "x")) in ("s3://bucket/run", "gs://bucket/run")
    assert isinstance(place(address, "x"), epath.Path)
    assert place(place(address, "x"), "x") == place(address, "x")
    with pytest.raises(ValueError, match=r"--out=.* is in a bucket, but must be a local"):
        check_local(address, "--out")


@pytest.mark.parametrize(
    "address", ["az://c/run", "file:///run", "http://x/y", "GS://b/x", pathlib.Path("hdfs://b/x")]
)
def test_an_address_of_another_kind_is_refused(address):
    with pytest.raises(ValueError, match=r"--workdir=.* has the scheme \w+://, but only local"):
        place(address, "--workdir")


@pytest.mark.parametrize("address", ["gs://", "s3:///run", "gs:///"])
def test_an_address_without_a_bucket_is_refused(address):
    with pytest.raises(ValueError, match="names no bucket"):
        place(address, "--workdir")


def test_local_paths_stay_local(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place("~/run", "x") == tmp_path / "run"
    for name in ("run", "C:/run", "kappa=0.02,seed=1", "a:b"):
        assert place(name, "x") == pathlib.Path(name)


def test_the_package_that_reaches_a_bucket_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(buckets.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package gcsfs: `pip install '.\[buck"):
        place("gs://bucket/run", "--workdir")


def test_buckets_that_are_not_there_or_refuse_are_told(both):
    for address in ("s3://nobody/run/x", "gs://nobody/run/x"):
        with pytest.raises(BucketError, match=f"{address} cannot be written: there is no bucket"):
            files.create(place(address, "x"), b"")
    with pytest.raises(BucketError, match=rf"gs://{REFUSING}/x cannot be written .*credentials"):
        files.create(place(f"gs://{REFUSING}/x", "x"), b"")
    assert not files.exists(place("s3://nobody/run", "x"))


def test_a_lost_connection_is_waited_for(both, s3_server):
    file = place(f"s3://{BUCKET}/lost/file.npz", "x")
    with s3_server.gone_for(4), files.write_aside(file) as aside:
        np.savez(aside, a=np.arange(3))
    assert files.is_file(file)
