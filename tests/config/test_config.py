"""Options load with their defaults, and every fault is told where, with what is allowed."""

import re

import pytest
import yaml

from config.load import config_sha256, dump_config, load_config, make_config, plain_config
from config.schema import FEWEST_ROWS, METHODS, Adversarial, Config
from custom_nn.models import UNTRAINED
from fastmri.volumes import SMALLEST_SIDE
from tests.conftest import ROOT
from trainer.adversary import make_discriminator

CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads_and_opens_with_its_command(path):
    load_config(path)
    first = path.read_text().splitlines()[0]
    assert re.match(rf"# python main\.py train config/{path.name} .*--out \S+", first)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_configs_hold_differences_only(path):
    def plain(group: dict, prefix: str = "") -> dict:
        found: dict[str, object] = {}
        for name, value in group.items():
            found |= plain(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        return found

    written = yaml.safe_load(path.read_text()) or {}
    name = written.get("model", {}).get("name", "adaptive_cs_net")
    needed = {"baseline": "where its run is"} if name == "generative" else {}
    defaults = plain(plain_config(make_config({"model": {"name": name, **needed}})))
    same = [key for key, value in plain(written).items() if key != "model.name" and defaults[key] == value]
    assert same == []


def test_plain_values_give_the_same_config_again():
    config = make_config({}, ["model.name=unet", "data.path=/some/where", "train.lr=3e-4"])
    assert make_config(plain_config(config)) == config
    assert make_config(yaml.safe_load(dump_config(config))) == config
    assert config_sha256(config) != config_sha256(make_config({}))


def test_overrides():
    config = make_config(
        {"train": {"steps": 5}}, ["train.lr=1e-4", "masks.accelerations=[8]", "data.scan_cache=null"]
    )
    assert (config.train.steps, config.train.lr) == (5, 1e-4)
    assert config.masks.accelerations == [8]
    assert config.data.scan_cache is None


@pytest.mark.parametrize("old", [None, "~/.cache/extreme-mri/volumes.json"])
def test_options_from_before_samples_were_cached_load(old):
    """`data.cache` was where metadata are remembered."""
    before = plain_config(make_config({}))
    before["data"] = {"cache": old, "num_workers": 0}
    config = make_config(before)
    assert plain_config(config)["data"]["scan_cache"] == old
    assert config_sha256(config) == config_sha256(make_config({}))


@pytest.mark.parametrize("named", [{"name": "adaptive_cs_net"}, {}])
def test_another_model_drops_the_options_of_the_old_one(named):
    content = {"model": {**named, "blocks": 3}}
    assert make_config(content, ["model.name=unet"]).model.name == "unet"
    other = make_config(content, ["model.channels=8", "model.name=unet"]).model
    assert other.name == "unet"
    assert other.channels == 8
    same = make_config(content, ["model.name=adaptive_cs_net"]).model
    assert same.name == "adaptive_cs_net"
    assert same.blocks == 3


def test_numbers_may_be_written_as_people_do(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("train: {lr: 1e-4, steps: 2000}")
    assert load_config(path).train.lr == 1e-4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stps=3", "train.stps: unknown option; did you mean steps?"),
        ("trian.steps=3", "trian: unknown option; did you mean train?"),
        ("model.chanels=3", "model.chanels: unknown option"),
        ("data.augment.flp=1", "data.augment.flp: unknown option; did you mean flip?"),
        ("train.lr=-1", "train.lr: should be greater than 0, got -1"),
        ("train.steps=many", "train.steps: should be a valid integer"),
        ("masks.kind=radial", "masks.kind: should be 'random'"),
        (
            "model.name=vit",
            "model.name: must be 'adaptive_cs_net' or 'generative' or 'generative_global' or 'pix2pix' or",
        ),
        ("data.adjacent_slices=2", "data.adjacent_slices: should be 1, 3, 5, 7 or 9, got 2"),
        ("masks.center_fractions=[0.1]", "masks: one center fraction per acceleration"),
        ("masks.accelerations=[4,4]", "masks: accelerations must differ, got [4, 4]"),
        ("model.name=generative", "model: a frozen baseline must come from a run: set model.baseline=RUN"),
        ("loss={ms_ssim: 0, l1: 0}", "loss: at least one weight of an image's error must be above 0"),
        ("loss.std_reward=true", "loss: std_reward needs samples of at least 2"),
        ("loss={l1: 0, octaves: 2}", "loss: octaves needs l1 or complex_l1 above 0"),
        ("loss={l1: 0, std_reward: true, samples: 2}", "loss: std_reward needs l1 or complex_l1 above 0"),
        ("loss.energy_score=1", "loss: energy_score needs samples of at least 2"),
        ("validate.samples=8", "validate.samples: adaptive_cs_net draws no noise; for generative or"),
        ("classical.tv_weights={8:0.01}", "classical.tv_weights: is written as {4: 0.003, 8: 0.005}"),
        ("data=3", "data: should be a valid dictionary"),
        ("train.steps", "'train.steps': an option is set by a.b=value"),
        ("train.lr=[", "train.lr: '[' is not a YAML value"),
        ("train.lr=2020-13-45", "train.lr: '2020-13-45' is not a YAML value"),
        ("seed=!!bool q", "seed: '!!bool q' is not a YAML value"),
        ("seed=!!timestamp x", "seed: '!!timestamp x' is not a YAML value"),
    ],
)
def test_faults_are_told(override, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_config({}, [override])


def test_a_crop_that_the_discriminator_cannot_judge_is_told():
    rows = ["data.crop_rows=15"]
    assert make_config({}, rows).data.crop_rows == 15
    with pytest.raises(
        ValueError, match=r"data.crop_rows: 4 adversarial.filters need 16 rows at least, got 15"
    ):
        make_config({}, [*rows, "adversarial.weight=0.01"])
    make_config({}, [*rows, "adversarial.weight=0.01", "adversarial.filters=[8, 8, 8]"])


def test_rows_that_are_resampled_are_not_cropped():
    options = ["model.name=pix2pix", "data.crop_rows=16"]
    make_config({}, options)
    with pytest.raises(
        ValueError, match=r"data.crop_rows: must be null for pix2pix with a downsample above 1"
    ):
        make_config({}, [*options, "model.downsample=2"])


def test_several_faults_are_told_together():
    with pytest.raises(ValueError) as error:
        make_config({}, ["train.lr=-1", "data.batch_sze=2", "masks.kind=x"])
    lines = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["data.batch_sze", "masks.kind", "train.lr"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "not YAML"), ("- 3", "must hold options"), ("\xff", "must hold options")],
)
def test_what_is_no_config_is_told(tmp_path, content, message):
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_config(path)


def test_an_absent_config_is_told(tmp_path):
    with pytest.raises(ValueError, match="can't be read"):
        load_config(tmp_path / "nothing.yaml")


def test_every_option_has_a_range_or_a_help_line():
    def groups(model):
        for name, field in model.model_fields.items():
            annotation = field.annotation
            if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
                yield from groups(annotation)
            else:
                yield name, field

    silent = [n for n, f in groups(Config) if not f.description and n != "model"]
    assert silent == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]", "an alias (*name)"),
        ("a: " + "[" * 5000 + "]" * 5000, "more than 20 levels deep"),
        ("a: !!python/object/apply:os.mkdir [x]", "could not determine a constructor"),
        ("# " + "x" * 2**20, "longer than 1048576 bytes"),
        ("a: '\x00'", "special characters are not allowed"),
        ('"\\e[2J": 1', "?[2J: unknown option"),
        (f"train: {{steps: '{'9' * 10_000}'}}", "999..."),
        ("? [1, 2]\n: 3", "not YAML"),
        ("1: 2", "1: Keys should be strings"),
        ("train: {lr: 2020-13-45}", "hostile.yaml: not YAML (month must be in 1..12)"),
    ],
)
def test_hostile_yaml_is_refused_in_short_lines(tmp_path, content, message):
    path = tmp_path / "hostile.yaml"
    path.write_text(content)
    with pytest.raises(ValueError) as error:
        load_config(path)
    assert message in str(error.value)
    assert max(map(len, str(error.value).splitlines())) < 700
    assert str(error.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("written", [{}, {"cascade": {"normalize": True}}, {"cascade": {"normalize": False}}])
def test_what_modulation_replaces_is_off_in_the_options_that_are_kept(written):
    config = make_config({"model": {"name": "generative_global", **written}})
    assert plain_config(config)["model"]["cascade"]["normalize"] is False
    before = "6a3228400d8ab83363918cbd44ac7db18e018d7e909e469b8c909e6f74e5cfb7"
    assert config_sha256(config) == before


def test_results_from_before_an_option_are_of_the_same_options():
    plain = config_sha256(make_config({}))
    assert plain == "7939b5074237b467a867242923e44140601f140ab2dbfbf22ca5c2f1fc8511f1"
    for harmless in ("train.keep=3", "train.max_bad_steps=5", "train.deterministic=true", "device=cpu"):
        assert config_sha256(make_config({}, [harmless])) == plain
    for other in ("train.accumulate=2", "train.bf16_gradients=true", "train.lr=0.5"):
        assert config_sha256(make_config({}, [other])) != plain


def test_what_the_schema_knows_of_other_packages_is_theirs():
    """It imports none of them, so that a wrong option is told at once."""
    assert FEWEST_ROWS == SMALLEST_SIDE
    assert set(METHODS) == set(UNTRAINED)
    options = Adversarial(filters=[4, 8, 16])
    assert make_discriminator(options).smallest_side == options.smallest_side
