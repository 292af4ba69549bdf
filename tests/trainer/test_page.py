"""What `validate --html` promises: one file that loads nothing, holds what it says, shows what was found."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from config.load import config_sha256, make_config
from config.schema import Validate
from fastmri.volumes import Volume
from main import main
from tests.conftest import read_target, write_tiny_volume
from tests.trainer.chromium import browse
from tests.trainer.conftest import SPATIAL, write_generative
from trainer.data import spread_evenly
from trainer.evaluation.figures import ERROR_GAIN, WARNING
from trainer.evaluation.page import select_views
from trainer.evaluation.tables import COLUMNS

LABEL = "</script><b>x"  # what no label may do: end the script and open a tag
NAMES = ["file1.h5", 'file2"><b onclick=x>.h5', "file3.h5"]
QUICK = ["device=cpu", "data.num_workers=0", "data.scan_cache=null", "validate.perceptual=false"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A model that draws noise, after one step: seconds."""
    folder = tmp_path_factory.mktemp("run")
    for part in ("train", "val"):
        write_tiny_volume(folder / "data" / f"singlecoil_{part}" / "file1.h5", slices=1)
    config = write_generative(folder / "tiny.yaml", folder / "data", SPATIAL | {"adversarial": {"weight": 0}})
    options = ["train.steps=6", "train.lr=1e-2", "validate.samples=2", "model.freeze_baseline=false"]
    assert (
        main(["train", str(config), *options, "masks.accelerations=[4]", "--out", str(folder / "run")]) == 0
    )
    return folder / "run"


@pytest.fixture(scope="module")
def made(run, tmp_path_factory) -> Path:
    """The folder of the page, of the metrics, and of the data that they are of."""
    folder = tmp_path_factory.mktemp("made")
    for k, (name, slices) in enumerate(zip(NAMES, (2, 5, 3), strict=True)):
        acquisition = LABEL if k == 1 else "CORPD_FBK"
        write_tiny_volume(folder / "data" / name, slices=slices, seed=k, acquisition=acquisition)
    bounds = ["validate.page_volumes=2", "validate.page_slices=3", "masks.accelerations=[4,8]"]
    options = [f"data.val={folder / 'data'}", *QUICK, *bounds, "validate.samples=2"]
    where = ["--out", str(folder / "out"), "--html", str(folder / "page")]
    assert main(["validate", str(run), *options, *where]) == 0
    return folder


@pytest.fixture(scope="module")
def text(made) -> str:
    return (made / "page" / "index.html").read_text()


@pytest.fixture(scope="module")
def data(text) -> dict:
    return data_of(text)


def data_of(text: str) -> dict:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def picture(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def test_it_loads_nothing_and_warns(text):
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src" in text
    assert not re.search(r"https?:|@import|url\(|<iframe|<link (?!rel=\"icon\" href=\"data:,\")", text)
    assert not re.search(r"\ssrc\s*=\s*[\"']", text)
    assert text.count(WARNING) >= 2
    assert "/* page" not in text


def test_labels_of_files_are_data(text, data):
    assert LABEL not in text
    assert text.count("</script>") == 2
    assert [(v["fname"], v["acquisition"]) for v in data["volumes"]] == [
        (NAMES[1], LABEL),
        (NAMES[2], "CORPD_FBK"),
    ]


def test_it_holds_as_much_as_asked_and_tells(data):
    assert data["volumes_in_all"] == 3
    assert data["accelerations"] == [4, 8]
    assert [volume["slices"] for volume in data["volumes"]] == [[0, 2, 4], [0, 1, 2]]
    for volume in data["volumes"]:
        for view in volume["views"].values():
            assert set(view["methods"]) == {"zero_filled", "baseline", "mean_2", "sample"}
            held = [volume["truth"], view["std"], *(m["pictures"] for m in view["methods"].values())]
            assert {len(pictures) for pictures in held} == {len(volume["slices"])}


def test_pictures_are_upright_and_on_the_truths_window(data, made):
    for volume in data["volumes"]:
        path = made / "data" / volume["fname"]
        target = np.stack([read_target(path, k) for k in range(volume["num_slices"])])
        assert volume["maximum"] == pytest.approx(target.max())
        for k, png in zip(volume["slices"], volume["truth"], strict=True):
            expected = np.clip(target[k] / target.max(), 0, 1)[::-1] * 255
            assert np.abs(picture(png) - expected).max() <= 0.5 + 1e-4


def test_metrics_are_those_of_the_run_and_of_the_slices(data, made):
    volumes = json.loads((made / "out" / "metrics.json").read_text())["volumes"]
    for volume in data["volumes"]:
        for acceleration, view in volume["views"].items():
            lines = {line["title"]: line["values"] for line in view["measures"]}
            for found in volumes:
                if (found["fname"], str(found["acceleration"])) == (volume["fname"], acceleration):
                    assert view["achieved"] == found["achieved_acceleration"]
                    for name, (title, form) in COLUMNS.items():
                        assert lines[title][found["method"]] == f"{found[name]:{form}}"


def test_slices_are_scored_as_fastmri_does(data, made):
    volume = data["volumes"][1]  # of which the page has every slice: their mean SSIM is the volume's
    volumes = json.loads((made / "out" / "metrics.json").read_text())["volumes"]
    for found in (v for v in volumes if v["fname"] == volume["fname"]):
        held = volume["views"][str(found["acceleration"])]["methods"][found["method"]]
        assert np.mean([float(value) for value in held["ssim"]]) == pytest.approx(found["ssim"], abs=6e-4)
        error = np.mean([10 ** (-float(value) / 10) for value in held["psnr"]])
        assert -10 * np.log10(error) == pytest.approx(found["psnr"], abs=0.01)


def test_a_method_without_training_has_a_page_and_no_std(made, tmp_path, capsys):
    data = [f"data.val={made / 'data'}", *QUICK, "masks.accelerations=[8]", "data.acquisitions=[CORPD_FBK]"]
    where = ["--out", str(tmp_path / "out"), "--html", str(tmp_path / "a" / "page")]
    assert main(["validate", "low_pass", *data, *where]) == 0
    path = tmp_path / "a" / "page" / "index.html"
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    content = data_of(path.read_text())
    assert list(content["methods"]) == ["zero_filled", "low_pass", "truth"]
    assert content["best"] == "low_pass"
    assert content["volumes"][0]["views"]["8"]["std"] is None


def test_a_folder_that_cannot_be_is_told_before_the_work(made, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    options = [f"data.val={made / 'data'}", *QUICK, "--html", str(tmp_path / "file")]
    assert main(["validate", "low_pass", *options, "--out", str(tmp_path / "out")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_acquisition_is_there_and_the_rest_is_spread():
    volumes = [
        Volume(f"file{k:02}.h5", (9, 8, 8), (4, 4), (0, 8), acquisition, 1.0, True, False)
        for k, acquisition in enumerate(["A"] * 10 + ["B"] + ["C"] * 4)
    ]
    names = select_views(volumes, Validate(page_volumes=6)).fnames
    assert names == ["file01.h5", "file05.h5", "file08.h5", "file10.h5", "file12.h5", "file14.h5"]
    assert len(select_views(volumes, Validate(page_volumes=99)).fnames) == 15
    assert spread_evenly(36, 8) == [2, 6, 11, 15, 20, 24, 29, 33]
    assert spread_evenly(5, 1) == [2]
    assert spread_evenly(3, 8) == [0, 1, 2]


def test_how_much_a_page_holds_is_not_part_of_what_was_measured():
    plain, other = make_config({}), make_config({}, ["validate.page_volumes=1", "validate.page_slices=2"])
    assert config_sha256(plain) == config_sha256(other)


# --- in a browser


@pytest.fixture(scope="module")
def seen(made) -> dict:
    """What a reader sees at every step of the probe."""
    script = (Path(__file__).parent / "page_probe.js").read_text()
    return browse(made / "page" / "index.html", script)


def drawn(seen: dict, step: str) -> np.ndarray:
    """The canvas, uint8 (h, w, 3)."""
    return np.array(seen[step]["colors"], np.uint8).reshape(*seen[step]["size"], 3)


def beside(left: np.ndarray, right: np.ndarray, column: int) -> np.ndarray:
    """Two pictures as greys, the left one up to a column."""
    both = np.concatenate([left[:, :column], right[:, column:]], axis=1)
    return np.repeat(both[..., None], 3, axis=2)


def held(data: dict, method: str, place: int, acceleration: int = 4) -> np.ndarray:
    """A picture of the first volume, uint8 (h, w)."""
    volume = data["volumes"][0]
    view = volume["views"][str(acceleration)]
    if method == "std":
        return picture(view["std"][place])
    return picture((volume["truth"] if method == "truth" else view["methods"][method]["pictures"])[place])


def mapped(values: np.ndarray, colors: str) -> np.ndarray:
    return colormaps[colors](np.clip(values, 0, 255).astype(np.uint8), bytes=True)[..., :3]


@pytest.mark.parametrize(
    ("step", "left", "right", "place", "acceleration", "column"),
    [
        ("first", "zero_filled", "mean_2", 1, 4, 16),
        ("slice", "zero_filled", "mean_2", 0, 4, 16),
        ("key", "zero_filled", "mean_2", 1, 4, 16),
        ("acceleration", "zero_filled", "mean_2", 1, 8, 16),
        ("dragged", "zero_filled", "mean_2", 1, 8, 8),
        ("split", "zero_filled", "mean_2", 1, 8, 24),
        ("truth", "zero_filled", "truth", 1, 8, 24),
        ("linked", "truth", "sample", 1, 4, 16),
    ],
)
def test_each_side_of_the_divider_shows_its_method(
    seen, data, step, left, right, place, acceleration, column
):
    one, other = (held(data, method, place, acceleration) for method in (left, right))
    assert not np.array_equal(one, other)
    assert seen[step]["divider"] == f"{100 * column / 32:g}%"
    assert np.array_equal(drawn(seen, step), beside(one, other, column))
    assert f"slice {data['volumes'][0]['slices'][place]}, ×{acceleration} (achieved" in seen[step]["told"]


def test_the_truth_has_no_error_and_the_other_side_has_its_own(seen, data):
    black = mapped(np.zeros((32, 8)), "magma")
    assert np.array_equal(drawn(seen, "no error")[:, 24:], black)
    assert np.array_equal(drawn(seen, "no error")[:, :24], drawn(seen, "truth")[:, :24])
    method, truth = (held(data, name, 1, 8).astype(int) for name in ("zero_filled", "truth"))
    expected = mapped(np.abs(method - truth) * ERROR_GAIN, "magma")
    assert np.array_equal(drawn(seen, "errors")[:, :24], expected[:, :24])
    assert np.array_equal(drawn(seen, "errors")[:, 24:], black)
    assert seen["errors"]["legend"].split()[:5] == ["0", "12.5", "%", "25", "%"]


def test_std_is_that_of_the_samples(seen, data):
    std = held(data, "std", 1, 8)
    assert std.any()
    assert np.array_equal(drawn(seen, "std"), mapped(std.astype(int) * ERROR_GAIN, "viridis"))
    assert "Standard deviation of the samples" in seen["std"]["legend"]


@pytest.mark.parametrize(
    ("step", "volume", "acceleration"), [("first", 0, 4), ("std", 0, 8), ("volume", 1, 8)]
)
def test_the_table_is_of_what_is_shown(seen, data, step, volume, acceleration):
    view = data["volumes"][volume]["views"][str(acceleration)]
    names = list(view["methods"])
    head, told, psnr, ssim, title, *measures = seen[step]["rows"]
    assert head == ["", *(data["methods"][name] for name in names)]
    assert (told, title) == (["This slice, 2"], ["This volume"])
    place = data["volumes"][volume]["slices"].index(2)
    assert psnr == ["PSNR [dB]", *(view["methods"][name]["psnr"][place] for name in names)]
    assert ssim == ["SSIM", *(view["methods"][name]["ssim"][place] for name in names)]
    assert measures == [
        [line["title"], *(line["values"][name] for name in names)] for line in view["measures"]
    ]


def test_a_view_can_be_linked_and_nonsense_shows_something(seen):
    address = "#volume=1&slice=2&acceleration=8&left=zero_filled&right=truth&split=0.75&overlay=std&over=both"
    assert re.fullmatch(re.escape(address) + r"&gain=4&window=\d+", seen["address"])
    assert "file3.h5, CORPD_FBK, slice 1, ×4" in seen["nonsense"]["told"]
    assert seen["nonsense"]["divider"] == "0%"


def test_nothing_is_loaded_run_or_left_without_the_warning(seen):
    assert (seen["wrong"], seen["loaded"], seen["markup"]) == ([], [], 0)
    assert seen["options"] == [f"{NAMES[1]}, {LABEL}", f"{NAMES[2]}, CORPD_FBK"]
    steps = ["first", "acceleration", "linked", "scrolled"]
    assert [seen[step]["warned"] for step in steps] == [True] * 4


def test_a_link_opens_in_a_narrow_window_without_scrolling_sideways(made):
    script = "look('opened').then(() => tell({ ...seen, wide: document.documentElement.scrollWidth }))"
    probe = (Path(__file__).parent / "page_probe.js").read_text().replace("\nprobe();", f"\n{script};")
    address = "#volume=0&slice=4&acceleration=8&left=sample&right=truth&overlay=error"
    found = browse(made / "page" / "index.html", probe, address=address, size="500,900")
    assert "slice 4, ×8" in found["opened"]["told"]
    assert "Left: sample. Right: |error| of truth." in found["opened"]["told"]
    assert found["wide"] <= 500
    assert found["wrong"] == []
