"""The report's figures are those of the runs' files, and every page says what it is not for."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from pypdf import PdfReader

from config.load import make_config, plain_config
from main import main
from trainer.comparison.compare import write_comparison
from trainer.comparison.records import Record, read_records
from trainer.evaluation.figures import WARNING
from trainer.report.ablations import Effect, find_ablations
from trainer.report.headline import headline
from trainer.report.origins import training_table

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_run, generative_run, generative_config) -> Path:
    """A folder of a cascade, a generative run on it, and one like it with a single token, all validated."""
    folder = tmp_path_factory.mktemp("report")
    for name, run in {"cascade": tiny_run, "texture": generative_run}.items():
        shutil.copytree(run, folder / name, ignore=shutil.ignore_patterns("validate"))
    assert main(["train", str(generative_config), "model.tokens=1", "--out", str(folder / "one_token")]) == 0
    quick = ["validate.samples=2"]
    controls = ["validate.methods=[low_pass,donor]", "validate.perceptual=true"]
    options = {"cascade": controls, "texture": quick, "one_token": quick}
    for name, changes in options.items():
        assert main(["validate", str(folder / name), *changes]) == 0
    return folder


@pytest.fixture(scope="module")
def figures(runs) -> Path:
    """What `compare` leaves behind, but for the pictures, of which there is one."""
    out = runs / "img"
    out.mkdir()
    records = read_records([runs / "cascade", runs / "texture"], CPU)
    write_comparison(records, [], out)
    Image.new("RGB", (70, 90)).save(out / "reconstruction.png")
    return out


def write_report(runs: Path, figures: Path, benchmark: Path, out: Path) -> PdfReader:
    named = [str(runs / "cascade"), str(runs / "texture")]
    named += ["--ablations", str(runs / "texture"), str(runs / "one_token"), "--benchmark", str(benchmark)]
    named += ["--figures", str(figures), "--device", "cpu"]
    assert main(["report", *named, "--out", str(out)]) == 0
    return PdfReader(out)


@pytest.fixture(scope="module")
def paper(runs, figures, tiny_benchmark) -> PdfReader:
    return write_report(runs, figures, tiny_benchmark, runs / "report.pdf")


def words(paper: PdfReader) -> str:
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in paper.pages))


def rows(run: Path) -> list[dict]:
    return json.loads((run / "validate" / "metrics.json").read_text())["rows"]


def test_every_mean_of_psnr_and_ssim_is_in_it(paper, runs):
    text = words(paper)
    for run in ("cascade", "texture"):
        for row in rows(runs / run):
            if row["acquisition"] == "all":
                assert f"{row['psnr']['mean']:.2f} / {row['ssim']['mean']:.3f}" in text


def test_what_a_benchmark_found_is_in_it(paper, tiny_benchmark):
    text, found = words(paper), json.loads(tiny_benchmark.read_text())
    for part in ("data", "train", "inference"):
        for row in found["rows"][part]:
            assert f" {row['slices_per_second']:.1f} " in text
            assert f"{1e3 * row['floor']:.3f} ms ({row['bound']}) {row['ratio']:.1f}" in text
    (breakdown,), (scaling,) = found["rows"]["breakdown"], found["rows"]["scaling"]
    assert all(f"{share:.1%}" in text for share in breakdown["shares"].values())
    assert all(f"{case['slices_per_second']:.2f}" in text for case in scaling["cases"])
    assert all(f"{row['efficiency']:.1%} {row['limit']}" in text for row in scaling["beyond"]["steps"])
    assert "host_memory 1e+09 bytes" in text
    assert "GB *" in text  # what does not fit
    assert found["machine"] in text
    assert found["command"].replace(" ", "") in text.replace(" ", "")


def change(content: dict, path: list, value: object) -> None:
    for name in path[:-1]:
        content = content[name]
    assert path[-1] in content
    content[path[-1]] = value


def test_another_figure_in_the_file_is_another_figure_in_the_report(
    runs, figures, tiny_benchmark, paper, tmp_path
):
    changed = tmp_path / "runs"
    shutil.copytree(runs, changed)
    path = changed / "texture" / "validate" / "metrics.json"
    content = json.loads(path.read_text())
    row = next(r for r in content["rows"] if r["method"] == "sample" and r["acquisition"] == "all")
    row["psnr"]["mean"] = 12.34567
    path.write_text(json.dumps(content))
    report = json.loads(tiny_benchmark.read_text())
    rows, scaling = report["rows"], report["rows"]["scaling"][0]
    change(rows["data"][0], ["slices_per_second"], 98765.4)
    change(rows["train"][0], ["ratio"], 76543.2)
    change(rows["breakdown"][0], ["shares", "forward"], 6.543)
    change(scaling["cases"][0], ["slices_per_second"], 54321.09)
    change(scaling, ["checkpoint", "bytes"], 4.32e11)
    change(scaling["beyond"]["steps"][-1], ["efficiency"], 3.217)
    change(scaling["beyond"]["epochs"][-1], ["seconds"], 4.32e8)
    change(scaling["beyond"], ["assumptions", "storage_bandwidth"], 2.109e9)
    benchmark = tmp_path / "benchmark.json"
    benchmark.write_text(json.dumps(report))
    before, after = words(paper), words(write_report(changed, figures, benchmark, tmp_path / "report.pdf"))
    figures_of_changes = ["12.35 / ", "98765.4", "76543.2", "654.3%", "54321.09", "432 GB", "321.7%"]
    for figure in [*figures_of_changes, "5,000 days", "2.109e+09"]:
        assert figure in after
        assert figure not in before


def test_every_page_warns_and_figures_are_there(paper, figures):
    assert all(WARNING in page.extract_text() for page in paper.pages)
    assert sum(len(page.images) for page in paper.pages) == len(list(figures.glob("*.png")))


def test_without_figures_they_are_drawn_for_the_report_alone(runs, tmp_path):
    assert main(["report", str(runs / "cascade"), "--out", str(tmp_path / "report.pdf")]) == 0
    assert sum(len(page.images) for page in PdfReader(tmp_path / "report.pdf").pages) >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


def test_commands_options_and_the_control_are_told(paper, runs):
    text = words(paper).replace(" ", "")
    assert f"validate{runs / 'cascade'}'validate.methods=[low_pass,donor]'".replace(" ", "") in text
    assert "--devicecpu" in text
    assert "config_sha256" not in text
    donor = [
        row for row in rows(runs / "cascade") if row["method"] == "donor" and row["acquisition"] == "all"
    ]
    for row in donor:
        assert f"{row['hallucination']['mean']:.3f}" in text


def test_a_switch_is_found_and_its_effect_is_paired_over_volumes(runs):
    reference, (ablation,) = find_ablations(read_records([runs / "one_token", runs / "texture"], CPU))
    assert reference.label == "texture"
    assert ablation.option == "model.tokens"
    samples = {
        name: {
            (v["fname"], v["acceleration"]): v
            for v in json.loads((runs / name / "validate" / "metrics.json").read_text())["volumes"]
            if v["method"] == "sample"
        }
        for name in ("texture", "one_token")
    }
    wanted = [
        samples["texture"][key]["psnr"] - samples["one_token"][key]["psnr"] for key in samples["texture"]
    ]
    assert ablation.effects["psnr"].mean == pytest.approx(sum(wanted) / len(wanted))


def test_few_volumes_get_a_count_and_no_verdict():
    """Five that agree could by chance in 1 of 16 draws; six are judged by their interval."""
    assert Effect(0.2, [0.1, 0.3], 5, 5).verdict == "better with it in 5 of 5 volumes"
    assert Effect(-0.2, [-0.3, -0.1], 1, 5).verdict == "better with it in 1 of 5 volumes"
    assert Effect(0.2, None, 1, 1).verdict == "better with it in 1 of 1 volumes"
    assert Effect(0.2, [0.1, 0.3], 6, 6).verdict == "better with it"
    assert Effect(-0.2, [-0.3, -0.1], 0, 6).verdict == "worse with it"
    assert Effect(0.2, [-0.1, 0.3], 5, 6).verdict == "no difference shown"


def test_the_report_says_that_its_volumes_are_few(runs, paper):
    _, (ablation,) = find_ablations(read_records([runs / "one_token", runs / "texture"], CPU))
    assert {effect.volumes for effect in ablation.effects.values()} == {3}
    text = words(paper)
    assert "of 3 volumes an interval holds the mean less often: with 3 normal values 75% of the time" in text
    assert f"better with it in {ablation.effects['psnr'].better} of 3 volumes" in text
    assert "no difference shown" not in text


def altered(record: Record, *overrides: str) -> Record:
    return record._replace(config=make_config(plain_config(record.config), overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.tokens=2"],  # fewer, not off
        ["model.tokens=1", "train.accumulate=2"],
        ["model.tokens=1", "data.path=elsewhere"],
        ["adversarial.weight=0.005"],
        ["model.high_pass=0.05"],
    ],
)
def test_what_is_not_off_or_not_alone_is_no_ablation(runs, overrides):
    reference = read_records([runs / "texture"], CPU)[0]
    with pytest.raises(ValueError, match="no run among"):
        find_ablations([reference, altered(reference, *overrides)])


def test_where_a_run_was_trained_and_validated_may_differ(runs):
    reference = read_records([runs / "texture"], CPU)[0]
    places = ["device=auto", "validate.samples=6", "data.num_workers=3", "data.cache=ram"]
    other = altered(reference, "adversarial.weight=0", *places)
    assert [each.option for each in find_ablations([other, reference])[1]] == ["adversarial.weight"]


def test_a_step_has_the_slices_of_all_its_batches_and_processes(runs):
    one = read_records([runs / "cascade"], CPU)[0]
    more = altered(one, "train.accumulate=3")._replace(world=2)
    rate = {"kind": "train", "step": 60, "slices_per_second": 2}
    lines = training_table([record._replace(history=[rate]) for record in (one, more)])
    assert [line[4:] for line in lines] == [["2", "1"], ["12", "6"]]


def test_a_generative_run_that_was_validated_by_one_sample_has_no_law_to_tell(runs):
    found = read_records([runs / "texture"], CPU)[0]
    one = {name: value for name, value in found.results.items() if name != "posterior"}
    assert headline([found])["sample"] is not None
    assert headline([found._replace(summary=one)])["sample"] is None


def test_what_can_not_be_reported_is_told_in_a_line(runs, figures, tmp_path, capsys):
    bare = shutil.copytree(runs / "cascade", tmp_path / "bare", ignore=shutil.ignore_patterns("validate"))
    cases = {
        (str(bare),): "not validated",
        (str(runs / "texture"), "--figures", str(figures)): "its figures are of other runs",
        (str(runs / "cascade"), "--figures", str(tmp_path)): "no figures of `compare`",
        (str(runs / "cascade"), "--benchmark", str(figures / "compare.json")): "not what `benchmark` writes",
        (str(runs / "cascade"), "--ablations", str(runs / "cascade"), str(runs / "texture")): "no run among",
        (str(runs / "cascade"), "--ablations", str(runs / "cascade")): "no run among",  # not generative
    }
    for arguments, words in cases.items():
        assert main(["report", *arguments, "--out", str(tmp_path / "report.pdf")]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("error: ")
        assert words in error
    assert not (tmp_path / "report.pdf").exists()
