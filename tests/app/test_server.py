"""The page's server: right answers, sentences for garbage, nothing overwritten, no way in."""

import base64
import json

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from hpunet_jax.app.explorer import Explorer
from hpunet_jax.app.pictures import file_pictures
from hpunet_jax.app.server import bound, build_app
from hpunet_jax.io import Preparation

PLACE = {"image": 0, "slice": 0}

pytestmark = pytest.mark.xdist_group("app")


@pytest.fixture
def client(explorer):
    return TestClient(build_app(explorer), base_url="http://127.0.0.1")


def array(entry):
    data = np.frombuffer(base64.b64decode(entry["data"]), entry["dtype"])
    return data.reshape(entry["shape"])


def ask(client, endpoint, /, **request):
    response = client.post(f"/api/{endpoint}", json={**PLACE, **request})
    assert response.status_code == 200, response.json()
    return response.json()


def zeros(client, image=0):
    scales = client.get(f"/api/images/{image}").json()["scales"]
    return [[0.0] * int(np.prod(shape)) for shape in scales]


def test_the_page_and_what_it_shows_are_served(client, model):
    assert "hpunet explore" in client.get("/").text
    assert client.get("/static/app.js").status_code == 200
    info = client.get("/api/info").json()
    assert info["digest"] == model.digest()
    picture = client.get("/api/images/1").json()
    assert array(picture["pixels"]).shape == (13, 18, 1)
    assert picture["spacing"] == [0.5, 2.0]
    assert array(picture["graders"][0]["labels"]).max() == 1  # 255 is shown as background


def test_noise_is_decoded_as_the_model_does(client, model, explorer):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=len(scale)).tolist() for scale in zeros(client)]
    answer = ask(client, "decode", noise=noise)
    opened = explorer._open(PLACE)
    shaped = [
        np.float32(values).reshape(shape)
        for values, shape in zip(noise, opened.case.latent_shapes, strict=True)
    ]
    expected = opened.case.decode(noise=shaped)[opened.inside]
    np.testing.assert_array_equal(array(answer["labels"]), expected)
    assert answer["area"] == f"{(expected > 0).sum():,} pixels"
    with_spacing = ask(client, "decode", image=1, noise=noise)
    count = (array(with_spacing["labels"]) > 0).sum()
    assert with_spacing["area"] == f"{count * 1.0:,.1f} mm²"


def test_a_hypothesis_and_a_reconstruction_come_back_from_their_noise(client):
    found = ask(client, "hypotheses")["hypotheses"]
    assert sum(hypothesis["share"] for hypothesis in found) == pytest.approx(1)
    assert [hypothesis["recommended"] for hypothesis in found].count(True) == 1
    for hypothesis in found:
        again = ask(client, "decode", noise=hypothesis["noise"])
        changed = array(again["labels"]) != array(hypothesis["labels"])
        assert changed.mean() < 0.01  # rounding of latents and back
    assert ask(client, "reconstruct", grader=0)["noise"]


def test_uncertainty_maps_have_the_pictures_size(client):
    answer = ask(client, "uncertainty")
    maps = {name: array(value) for name, value in answer["maps"].items()}
    assert {value.shape for value in maps.values()} == {(13, 18)}
    assert 0 <= maps["foreground"].min() <= maps["foreground"].max() <= 1
    assert (maps["entropy"] >= maps["mutual_information"] - 1e-6).all()


def test_what_is_saved_can_be_loaded_and_is_never_overwritten(client, tmp_path):
    noise = [np.linspace(-1, 1, len(scale)).tolist() for scale in zeros(client)]
    marks = [[2, 3, True], [4, 5, False]]
    first = ask(client, "save", noise=noise, marks=marks)
    second = ask(client, "save", noise=zeros(client))
    assert (first["name"], second["name"]) == ("picture_0_001", "picture_0_002")
    labels = np.asarray(Image.open(tmp_path / "out" / "picture_0_001.png"))
    np.testing.assert_array_equal(labels, array(ask(client, "decode", noise=noise)["labels"]))
    assert client.get("/api/saved/0").json()["names"] == ["picture_0_001", "picture_0_002"]
    assert client.get("/api/saved/1").json()["names"] == []
    loaded = ask(client, "load", name="picture_0_001")
    assert loaded["marks"] == marks
    for read, written in zip(loaded["noise"], noise, strict=True):
        np.testing.assert_array_equal(np.float32(read), np.float32(written))
    record = json.loads((tmp_path / "out" / "picture_0_001.json").read_text())
    assert {"weights", "image", "image_digest", "latents", "time", "note"} <= record.keys()
    assert {"window", "percentiles", "spacing", "scale"} <= record.keys()


def test_what_was_saved_of_other_pixels_is_neither_listed_nor_loaded(model, tmp_path):
    def explorer(file, **preparation):
        pictures = file_pictures(model, [tmp_path / file], Preparation(**preparation))
        return Explorer(model, "tiny", pictures, str(tmp_path / "out"))

    rng = np.random.default_rng(0)
    for file in ("one/a b.png", "two/a b.png", "one/a_b.png"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 8)).astype(np.uint8)).save(tmp_path / file)
    first = explorer("one/a b.png")
    noise = [[0.0] * int(np.prod(shape)) for shape in first.image(PLACE)["scales"]]
    name = first.save({**PLACE, "noise": noise})["name"]
    assert explorer("one/a b.png").saved(PLACE) == {"names": [name]}
    assert explorer("one/a b.png").load({**PLACE, "name": name})["name"] == name
    others = [explorer("two/a b.png"), explorer("one/a_b.png")]
    others += [explorer("one/a b.png", window=(0, 99)), explorer("one/a b.png", scale=2.0)]
    for other in others:
        assert other.saved(PLACE) == {"names": []}
        with pytest.raises(ValueError, match=f"{name} was saved of other pixels"):
            other.load({**PLACE, "name": name})
    file = tmp_path / "out" / f"{name}.json"
    old = {k: v for k, v in json.loads(file.read_text()).items() if k != "image_digest"}
    file.write_text(json.dumps(old))
    assert first.saved(PLACE) == {"names": []}
    with pytest.raises(ValueError, match=f"{name} has no `image_digest`"):
        first.load({**PLACE, "name": name})


@pytest.mark.parametrize(
    ("name", "request_", "words"),
    [
        ("decode", {"noise": "no"}, "`noise` must be a list"),
        ("decode", {"noise": []}, "`noise` must be a list"),
        ("decode", {"noise": [[0.0], [0.0]]}, "of scale"),
        ("decode", {"noise": None, "image": 99}, "`image` is 99"),
        ("decode", {"image": "../../etc"}, "`image` must be a whole number"),
        ("decode", {"image": True}, "`image` must be a whole number"),
        ("reconstruct", {"grader": 7}, "`grader` is 7"),
        ("fit", {"inside": [[99, 0]]}, "`inside` must be a list"),
        ("fit", {"inside": [[0.5, 1]]}, "`inside` must be a list"),
        ("fit", {"inside": [[1, 1]], "outside": [[1, 1]]}, ""),
        ("load", {"name": "../secret"}, "saved segmentation"),
        ("load", {"name": None}, "saved segmentation"),
        ("save", {"marks": [[1]]}, "`noise` must"),
    ],
)
def test_garbage_is_answered_with_a_sentence(client, name, request_, words):
    response = client.post(f"/api/{name}", json={**PLACE, **request_})
    assert response.status_code == 400
    assert words in response.json()["error"]
    assert client.get("/api/info").status_code == 200  # it goes on


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e9", "true", '"a"'])
def test_noise_that_is_no_ordinary_number_is_refused(client, value):
    scales = [len(scale) for scale in zeros(client)]
    lists = ",".join("[" + ",".join([value] * size) + "]" for size in scales)
    text = f'{{"image": 0, "noise": [{lists}]}}'
    response = client.post(
        "/api/decode", content=text, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert "`noise` of scale 0 must" in response.json()["error"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * (9 << 20), "application/json", 413),
    ],
)
def test_requests_that_are_no_json_objects_are_refused(client, content, kind, status):
    response = client.post("/api/decode", content=content, headers={"content-type": kind})
    assert response.status_code == status
    assert response.json()["error"]


def test_other_names_of_this_machine_are_not_answered(explorer):
    app = build_app(explorer)
    assert TestClient(app, base_url="http://evil.example").get("/api/info").status_code == 400


def test_bound_to_others_it_asks_for_the_token(explorer):
    app = build_app(explorer, "0.0.0.0", token="secret")
    client = TestClient(app, base_url="http://somewhere")
    assert client.get("/api/info").status_code == 403
    assert client.get("/").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    assert client.get("/?token=secret").status_code == 200
    assert client.get("/api/info").status_code == 200


def test_only_so_many_encoded_pictures_are_kept(client, explorer):
    for image in (0, 1, 2, 1):
        assert client.get(f"/api/images/{image}").status_code == 200
    assert list(explorer._cases) == [(2, 0), (1, 0)]


def test_an_address_is_said_only_once_it_is_had():
    listening, address = bound("127.0.0.1", 0)
    with listening:
        port = listening.getsockname()[1]
        assert address == f"http://127.0.0.1:{port}/"
        assert port
        with pytest.raises(OSError, match=f"^--port={port} is taken by another program"):
            bound("127.0.0.1", port)
    with pytest.raises(OSError, match=r"^--host=192\.0\.2\.1 with --port=0 cannot be listened at"):
        bound("192.0.2.1", 0)  # an address of no machine
