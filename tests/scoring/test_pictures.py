"""The images that the report shows below the maps."""

import numpy as np
import SimpleITK as sitk

from hpunet_jax.scoring.files import FILES, ScoreOptions, score_files
from hpunet_jax.scoring.pictures import find_pictures


def write_nifti(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def test_the_report_shows_the_image_of_exactly_the_name(tmp_path, write):
    names = ("scan", "scan.1", "x[2]", "lonely")
    write(tmp_path / "truth", {name: np.eye(4) for name in names})
    write(tmp_path / "images", {name: np.zeros((4, 4)) for name in ("scan.1", "x[2]", "x2")})
    (tmp_path / "images/scan.json").write_text("{}")
    (tmp_path / "images/._scan.png").write_text("left by a system")
    folder = tmp_path / "images"
    found = {"scan.1": folder / "scan.1.png", "x[2]": folder / "x[2].png"}
    assert find_pictures(folder, names) == found
    write(folder, {"scan": np.zeros((4, 4))})
    assert find_pictures(folder, names) == {**found, "scan": folder / "scan.png"}
    assert find_pictures(tmp_path / "nowhere", names) == {}


def test_images_of_any_type_are_shown_and_the_report_says_which_cannot_be(tmp_path):
    maps = np.eye(5, dtype=np.uint8)[None].repeat(2, 0)
    for name in ("ct", "damaged", "other"):
        for folder in ("truth", "samples"):
            write_nifti(tmp_path / f"{folder}/{name}.nii", maps)
    write_nifti(tmp_path / "images/ct.nii", maps.astype(np.int16) * 500 - 1000)
    (tmp_path / "images/damaged.nii").write_bytes(b"no volume")
    write_nifti(tmp_path / "images/other.nii", maps[:, :3])
    told = []
    paths = (str(tmp_path / path) for path in ("truth", "samples", "out"))
    score_files(ScoreOptions(*paths, images=str(tmp_path / "images")), told.append)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    page = (tmp_path / "out/report.html").read_text()
    assert page.count('alt="image"') == 1
    assert page.count("Without its image: ") == 2
    assert "damaged.nii is damaged or no volume" in page
    assert "other.nii has 2x3x5 pixels, but its maps 2x5x5" in page
    assert sum("is shown without its image: " in sentence for sentence in told) == 2
