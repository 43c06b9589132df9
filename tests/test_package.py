"""The package as a user gets it: built, installed alone, and started outside of any checkout."""

import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv

import numpy as np
import pytest
from PIL import Image

import hpunet_jax

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("hpunet_jax", "configs", "experiments")
FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
DOCUMENTS = ("CHANGELOG.md", "CITATION.cff")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of programs of an environment that has the wheel, and this one's libraries."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in (*FOLDERS, *FILES, *DOCUMENTS):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    # Without options it builds the sdist, and the wheel from what is in the sdist.
    build = [sys.executable, "-m", "build", "--no-isolation", f"--outdir={folder}", source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        contents = {name.partition("/")[2] for name in archive.getnames()}
    assert contents.issuperset((*FILES, *DOCUMENTS))
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    site = next((environment / "lib").glob("python*/site-packages"))
    # A line of a .pth adds a folder, but not what that folder's own .pth files name: this checkout.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, wheel], check=True)
    return environment / "bin"


def test_every_file_that_names_the_version_names_the_same():
    version = hpunet_jax.__version__
    newest = "Unreleased" if "dev" in version else version
    for name, line in (
        ("CITATION.cff", f"version: {version}"),
        ("CHANGELOG.md", f"## [{newest}]"),
    ):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert any(found.startswith(line) for found in lines), name


def run(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_wheel_gives_programs_configs_and_models_and_takes_no_other_name(installed, tmp_path):
    code = (
        "import importlib.metadata, importlib.util, hpunet_jax; print(hpunet_jax.__file__); "
        "print(importlib.metadata.version('hpunet_jax')); "
        "print(hpunet_jax.load('pretrained/lidc_phantom').num_classes); "
        "print([importlib.util.find_spec(name) for name in ('configs', 'experiments')])"
    )
    done = run(tmp_path, installed / "python", "-c", code)
    assert done.returncode == 0, done.stderr
    where, version, classes, names = done.stdout.splitlines()
    assert version == hpunet_jax.__version__
    assert pathlib.Path(where).is_relative_to(installed.parent)
    assert (classes, names) == ("2", "[None, None]")
    helped = run(tmp_path, installed / "hpunet", "--help")
    assert helped.returncode == 0
    assert "  train " in helped.stdout
    wrong = run(tmp_path, installed / "hpunet", "train", "--config=lidc_hpnet", "--workdir=x")
    assert wrong.returncode == 1
    assert "Did you mean lidc_hpunet?" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_the_installed_command_samples_with_the_shipped_model(installed, tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    flags = ["--workdir=pretrained/lidc_phantom", "--images=images", "--out=out"]
    done = run(tmp_path, installed / "hpunet", "sample", *flags, "--num_samples=2")
    assert done.returncode == 0, done.stderr
    labels = np.asarray(Image.open(tmp_path / "out" / "a" / "sample_01.png"))
    assert labels.shape == (64, 64)
    assert (tmp_path / "out" / "a" / "scales.png").exists()


def test_importing_the_package_loads_nothing_that_a_model_file_does_not_need():
    """What it takes is mostly JAX; readers of files, Orbax and SciPy's parts come when used."""
    command = [sys.executable, "-c", "import sys, hpunet_jax; print(*sys.modules)"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"SimpleITK", "h5py", "matplotlib", "orbax", "scipy.ndimage", "tensorflow"}
    assert not heavy & set(found)
