"""Every option once: its default, unit, range and one line of help."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

FEWEST_ROWS = 11  # of a crop: fastmri.volumes.SMALLEST_SIDE
Filters = Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(max_length=8)]


class Options(BaseModel):
    """A group of options; unknown names are errors, values can't change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _word(value: object) -> object:
    """YAML takes off, without quotes, for false."""
    return "off" if value is False else value


class Augment(Options):
    """How training slices vary beyond their own scan."""

    flip: bool = Field(False, description="mirror rows and columns, each half of the time")
    phase: float = Field(0.0, ge=0, description="radians: spread of an added smooth phase")
    intensity: float = Field(0.0, ge=0, le=1, description="log units: spread of a smooth receive field")
    noise: float = Field(0.0, ge=0, le=1, description="largest added noise std, over the image's maximum")


def _scan_cache(data: object) -> object:
    """Read `cache` as `scan_cache` where it is a path, as in runs from before samples were cached."""
    if not isinstance(data, dict):
        return data
    old = data.get("cache", "")
    if old is None or str(old).endswith(".json"):
        return {"scan_cache": old} | {name: value for name, value in data.items() if name != "cache"}
    return data


class Data(Options):
    """Where the volumes are and how slices are drawn from them."""

    path: Path | None = Field(None, description="folder with singlecoil_train/ and singlecoil_val/")
    train: Path | None = Field(None, description="training folder or file, instead of PATH/singlecoil_train")
    val: Path | None = Field(None, description="validation folder or file, instead of PATH/singlecoil_val")
    batch_size: int = Field(8, ge=1, le=4096, description="slices per step and process")
    num_workers: int = Field(
        4, ge=0, le=256, description="processes that read slices; 0 reads in the main one"
    )
    adjacent_slices: Literal[1, 3, 5, 7, 9] = Field(1, description="slices that the network sees")
    crop_rows: int | None = Field(
        None, ge=FEWEST_ROWS, description="random rows per training slice; null: all"
    )
    cache: Literal["none", "ram", "disk"] = Field(
        "none", description="where hybrid data and targets are kept, so that no slice is transformed twice"
    )
    cache_dtype: Literal["complex64", "half"] = Field(
        "complex64", description="of what is kept; half: two half floats, which round to 11 bits"
    )
    cache_dir: Path = Field(Path("~/.cache/extreme-mri/hybrid"), description="folder of the cache on disk")
    scan_cache: Path | None = Field(
        Path("~/.cache/extreme-mri/volumes.json"), description="remembered metadata; null: scan every time"
    )
    acquisitions: list[str] | None = Field(None, description="only these acquisitions; null: all")
    sample_rate: float = Field(1.0, gt=0, le=1, description="fraction of the training slices")
    volume_sample_rate: float = Field(1.0, gt=0, le=1, description="fraction of the training volumes")
    augment: Augment = Augment()

    _old = model_validator(mode="before")(_scan_cache)

    @model_validator(mode="after")
    def _kept(self) -> "Data":
        if self.cache == "none" and self.cache_dtype != "complex64":
            raise ValueError(f"cache_dtype {self.cache_dtype} is of a cache: set data.cache to ram or disk")
        return self


class Masks(Options):
    """Which phase-encode columns are kept."""

    kind: Literal[
        "random", "random_exact", "equispaced", "equispaced_fraction", "magic", "magic_fraction"
    ] = Field("random", description="fastMRI's mask functions; random_exact keeps exactly round(W / R)")
    accelerations: list[Annotated[int, Field(ge=2)]] = Field(
        [4, 8, 16, 32], min_length=1, description="drawn per training slice; all of them in evaluation"
    )
    center_fractions: list[Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        None, description="fully sampled centre, one per acceleration; null: 0.32 / acceleration"
    )

    @model_validator(mode="after")
    def _pairs(self) -> "Masks":
        if self.center_fractions and len(self.accelerations) != len(self.center_fractions):
            raise ValueError(
                f"one center fraction per acceleration: {len(self.accelerations)} accelerations, "
                f"{len(self.center_fractions)} center_fractions"
            )
        if len(set(self.accelerations)) != len(self.accelerations):
            raise ValueError(f"accelerations must differ, got {self.accelerations}")
        return self


class Cascade(Options):
    """Adaptive-CS-Net (arXiv 2004.07339)."""

    blocks: int = Field(10, ge=1, le=100, description="iterations, each with weights of its own")
    filters: Filters = Field([16, 32, 64, 128], min_length=1, description="features per scale, finest first")
    threshold: float = Field(0.001, gt=0, description="soft thresholds at the start, in feature units")
    normalize: bool = Field(True, description="features get a learned mean and spread in every image")
    phase_prior: Literal["frame", "input", "none"] = Field(
        "frame", description="the smooth phase of the centre turns all images, or what departs from it is an "
        "input, or it is not used"
    )  # fmt: skip
    background_prior: bool = Field(True, description="feed what lies in the centre's air")
    background_level: float = Field(0.1, gt=0, lt=1, description="air: below this part of the maximum")
    gradient_step: bool = Field(True, description="a data step of learned size in every block")
    data_consistency: bool = Field(True, description="put the measured samples back at the end")


class AdaptiveCSNet(Cascade):
    """The baseline."""

    name: Literal["adaptive_cs_net"] = "adaptive_cs_net"


class Generative(Options):
    """A baseline, and texture in the null space that is read from tokens by attention."""

    name: Literal["generative"] = "generative"
    baseline: Path | None = Field(None, description="run or checkpoint that the baseline starts from")
    freeze_baseline: bool = Field(True, description="train the texture alone; false: both together")
    cascade: Cascade = Field(
        Cascade(), description="options of the baseline; those of its run, if one is named"
    )
    amplitude: float = Field(1.0, ge=0, le=1, description="of the texture, trained at 1; 0 is the baseline")
    filters: Filters = Field([32, 64, 128, 256], min_length=2, description="features per scale, finest first")
    tokens: int = Field(16, ge=1, le=4096, description="learned texture vectors")
    token_width: int = Field(64, ge=1, le=4096, description="values of a texture vector")
    latent: int = Field(8, ge=1, le=4096, description="values of noise per texture vector")
    attention: bool = Field(True, description="each place reads its own mix of vectors; false: all the mean")
    hard_projection: bool = Field(True, description="texture in the null space alone")
    high_pass: float = Field(
        0.1, ge=0, lt=0.5, description="cycles per pixel, below which the proxy sees no truth, nor where it "
        "was measured; 0: it sees all of it"
    )  # fmt: skip
    redraws: int = Field(
        0, ge=0, le=100, description="times that a trained model draws a sample again, each from some of its "
        "own columns as if measured; each costs another reconstruction by the baseline"
    )  # fmt: skip
    proxy_weights: str = Field(
        "none", description="none: a small encoder, trained along; imagenet or a file: frozen MobileNetV2"
    )

    @model_validator(mode="after")
    def _start(self) -> "Generative":
        if self.freeze_baseline and self.baseline is None:
            raise ValueError(
                "a frozen baseline must come from a run: set model.baseline=RUN, or freeze_baseline=false"
            )
        return self


class GenerativeGlobal(Options):
    """The cascade under one texture vector for the whole picture, as a reference."""

    name: Literal["generative_global"] = "generative_global"
    cascade: Cascade = Field(
        Cascade(normalize=False),
        description="options of the cascade; normalize is off, as what modulates it normalises",
    )
    token_width: int = Field(128, ge=1, le=4096, description="values of the texture vector")
    latent: int = Field(64, ge=1, le=4096, description="values of the variational latent")
    encoder_weights: str = Field(
        "imagenet", description="MobileNetV2 of encoder and proxy: imagenet, a file, or none"
    )

    @field_validator("cascade")
    @classmethod
    def _modulated(cls, cascade: Cascade) -> Cascade:
        """Whatever is written, and runs from before have true."""
        return cascade.model_copy(update={"normalize": False})


class Levels(Options):
    """Options of a U-Net."""

    name: str
    channels: int = Field(
        32, ge=1, le=1024, description="features of the first level; doubled at each pooling"
    )
    pools: int = Field(4, ge=1, le=7, description="number of poolings")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability that a feature map is left out")
    data_consistency: bool = Field(False, description="put the measured samples back at the end")


class UNet(Levels):
    """fastMRI's U-Net, as a reference."""

    name: Literal["unet"] = "unet"


class Pix2Pix(Levels):
    """U-Net with a super-resolution stage, as a peer."""

    name: Literal["pix2pix"] = "pix2pix"
    downsample: Literal[1, 2, 4] = Field(
        1, description="the U-Net sees k-space's centre alone, 1/n of both axes, and its output is scaled up"
    )


FAMILY = "adaptive_cs_net"  # of a model that is not named


def _named(model: object) -> object:
    """The baseline is the model where none is named."""
    return {"name": FAMILY, **model} if isinstance(model, dict) else model


Model = Annotated[
    Annotated[AdaptiveCSNet | Generative | GenerativeGlobal | Pix2Pix | UNet, Field(discriminator="name")],
    BeforeValidator(_named),
]


STOCHASTIC = ("generative", "generative_global")
Method = Literal["zero_filled", "low_pass", "tv", "wavelet"]  # those without training
METHODS: tuple[Method, ...] = get_args(Method)


class Loss(Options):
    """Weights of the loss terms, on images over the volume's maximum."""

    ms_ssim: float = Field(0.84, ge=0, description="of 1 - MS-SSIM")
    ssim: float = Field(0.0, ge=0, description="of 1 - SSIM")
    l1: float = Field(0.16, ge=0, description="of the mean absolute error")
    complex_l1: float = Field(0.0, ge=0, description="of the mean absolute error of real and imaginary parts")
    octaves: int = Field(
        0, ge=0, le=5, description="octaves of wavelets that the L1 terms and std_reward are taken in, the "
        "finest as two levels; 0: the whole image"
    )  # fmt: skip
    samples: int = Field(1, ge=1, le=16, description="draws per slice, of whose mean these terms are")
    std_reward: bool = Field(
        False, description="reward their standard deviation, as posterior sampling needs"
    )
    beta: float = Field(
        1.0, ge=0, description="weight of that reward at the start; 1 is right for normal errors"
    )
    beta_rate: float = Field(0.03, ge=0, description="change of a band's beta per dB and tuning; 0: none")
    gain_rate: float = Field(
        0.7, ge=0, le=1, description="part of a band's error of spread that each of some tunings before a "
        "validation makes up for, by a gain of the band's texture less what its mean has wrong; 0: no gains"
    )  # fmt: skip
    tune_every: int = Field(100, ge=1, description="steps between tunings of betas")
    tune_slices: int = Field(
        32, ge=1, description="slices of the validation volumes by which all is tuned, kept in memory"
    )
    energy_score: float = Field(
        0.0, ge=0, description="of the energy score of features that tell edges from grain; needs samples"
    )
    baseline: float = Field(
        1.0, ge=0, description="of the mean absolute error of real and imaginary parts of a baseline that is "
        "trained along (model.freeze_baseline=false), which is what amplitude 0 gives"
    )  # fmt: skip
    kl: float = Field(0.0, ge=0, description="of the latent's divergence, mean over the batch")
    texture: float = Field(0.0, ge=0, description="of what the truth's proxy asks of the latent's texture")

    @model_validator(mode="after")
    def _some(self) -> "Loss":
        if not (self.ms_ssim or self.ssim or self.l1 or self.complex_l1):
            raise ValueError("at least one weight of an image's error must be above 0")
        for name in ("std_reward", "energy_score"):
            if getattr(self, name) and self.samples < 2:
                raise ValueError(f"{name} needs samples of at least 2")
        for name in ("octaves", "std_reward"):
            if getattr(self, name) and not (self.l1 or self.complex_l1):
                raise ValueError(f"{name} needs l1 or complex_l1 above 0")
        return self

    @property
    def posterior(self) -> bool:
        """Whether samples are to be a posterior's: to differ as its law says."""
        return self.samples > 1


class Adversarial(Options):
    """The conditional patch discriminator."""

    weight: float = Field(0.0, ge=0, description="of the generator's term; 0: no discriminator")
    loss: Literal["wasserstein", "non_saturating"] = Field("wasserstein", description="of both networks")
    regularizer: Literal["gradient_penalty", "r1", "spectral_norm"] = Field(
        "gradient_penalty", description="what keeps the discriminator smooth"
    )
    penalty: float = Field(10.0, ge=0, description="weight of gradient_penalty or r1")
    filters: Filters = Field([64, 128, 256, 512], min_length=1, description="features per layer")
    lr: float = Field(1e-4, gt=0, le=1, description="highest learning rate; warm-up and decay as train.lr")
    start: int = Field(0, ge=0, description="steps before the generator feels it")
    ramp: int = Field(0, ge=0, description="steps after these until it feels all of it")

    @property
    def smallest_side(self) -> int:
        """Pixels that an image needs on each side: each filter but the last halves it, the last needs two."""
        return 2 ** len(self.filters)


MOST_KEPT = 10  # checkpoints of train.keep


class Train(Options):
    """The optimisation, AdamW with warm-up and cosine decay."""

    steps: int = Field(100_000, ge=1, description="optimizer steps in all")
    lr: float = Field(1e-3, gt=0, le=1, description="highest learning rate")
    warmup: int = Field(500, ge=0, description="steps until the highest learning rate")
    weight_decay: float = Field(
        1e-4, ge=0, description="on weights of more than one axis, as convolutions have"
    )
    accumulate: int = Field(
        1, ge=1, le=4096, description="batches per step and process, whose gradients are averaged"
    )
    bf16_gradients: bool = Field(
        False, description="processes exchange gradients in bfloat16: half the bytes"
    )
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights that are evaluated")
    bf16: bool = Field(True, description="convolutions in bfloat16 on CUDA; physics never")
    compile: Annotated[Literal["off", "default", "reduce-overhead"], BeforeValidator(_word)] = Field(
        "off", description="torch.compile of the network, of generative its baseline alone, a minute at the "
        "start; reduce-overhead: as CUDA graphs. Where it fails, training goes on without"
    )  # fmt: skip
    cuda_graphs: bool = Field(
        True, description="replay a step as a CUDA graph, one by shape, where there is memory for it: a GPU "
        "need not wait for thousands of launches; the same weights"
    )  # fmt: skip
    checkpoint_blocks: bool = Field(
        False, description="keep a cascade's images alone for the gradient and compute each block twice: "
        "less memory, a third slower; the same weights"
    )  # fmt: skip
    validate_every: int = Field(5000, ge=1, description="steps from one validation to the next")
    validate_volumes: int | None = Field(None, ge=1, description="only the first so many then; null: all")
    save_every: int = Field(1000, ge=1, description="steps from one last.pt to the next")
    log_every: int = Field(50, ge=1, description="steps that a logged loss is the mean of")
    keep: int = Field(2, ge=1, le=MOST_KEPT, description="last checkpoints that stay, the best beside them")
    max_bad_steps: int = Field(
        0, ge=0, description="steps that may be left out, as not finite, before it ends"
    )
    deterministic: bool = Field(False, description="equal bits on a GPU too, where that is slower")


class Validate(Options):
    """Evaluation."""

    batch_size: int = Field(8, ge=1, le=4096, description="slices at once on a GPU; a CPU takes one by one")
    samples: int | None = Field(
        None, ge=1, le=64, description="samples per slice of a model that draws noise; null: 8"
    )
    level: float = Field(0.9, gt=0.5, lt=1, description="of the truth that calibrated intervals are to hold")
    perceptual: bool = Field(True, description="MS-SSIM, HaarPSI, VSI and GMSD in the validate command")
    learned: Annotated[Literal["disk", "download", "off"], BeforeValidator(_word)] = Field(
        "disk", description="LPIPS and DISTS beside them: if their weights are on disk, or may be downloaded"
    )
    methods: list[Literal[Method, "donor"]] = Field(
        [], description="methods without training beside the model, in the command; zero_filled always is"
    )
    page_volumes: int = Field(
        6, ge=1, le=1024, description="volumes that --html shows, of every acquisition alike"
    )
    page_slices: int = Field(8, ge=1, le=1024, description="slices of each of them, evenly spread")


def _spaced(weights: object) -> object:
    """YAML takes {8:0.01} for a name without a value, and 8:0.01 for 480.01."""
    if isinstance(weights, dict) and None in weights.values():
        raise ValueError("is written as {4: 0.003, 8: 0.005}, with spaces, and in quotes on a command line")
    return weights


Weights = Annotated[
    dict[Annotated[int, Field(ge=2)], Annotated[float, Field(ge=0)]], BeforeValidator(_spaced)
]  # by acceleration


class Classical(Options):
    """Compressed sensing, of slices over the maximum of their zero-filled image."""

    tv_weights: Weights | None = Field(
        None, description="of total variation, as {4: 0.003, 8: 0.005}; null: tuned on training data"
    )
    wavelet_weights: Weights | None = Field(None, description="of the wavelets' l1 norm, alike")
    iterations: int = Field(100, ge=1, le=100000, description="per slice")
    tune_slices: int = Field(
        8, ge=1, le=1024, description="slices to tune on, each of another training volume"
    )


class Config(Options):
    """All options of a run."""

    seed: int = Field(0, ge=0, description="of data order, masks, variations, noise and weights")
    device: Literal["auto", "cuda", "cpu"] = Field("auto", description="auto is CUDA where there is one")
    data: Data = Data()
    masks: Masks = Masks()
    model: Model = AdaptiveCSNet()
    loss: Loss = Loss()
    adversarial: Adversarial = Adversarial()
    train: Train = Train()
    validation: Validate = Field(Validate(), alias="validate")
    classical: Classical = Classical()

    @model_validator(mode="after")
    def _fitting(self) -> "Config":
        asked = {
            "loss.samples": self.loss.samples > 1,
            "loss.kl": self.loss.kl,
            "loss.texture": self.loss.texture,
            "validate.samples": (self.validation.samples or 1) > 1,
        }
        if self.model.name not in STOCHASTIC and any(asked.values()):
            names = " and ".join(name for name, wanted in asked.items() if wanted)
            raise ValueError(f"{names}: {self.model.name} draws no noise; for {' or '.join(STOCHASTIC)}")
        return self

    @model_validator(mode="after")
    def _trainable(self) -> "Config":
        if self.train.compile != "off" and self.model.name == "generative_global":
            raise ValueError(
                "train.compile: generative_global draws noise in its transforms, which can't be compiled; "
                "use off"
            )
        model = self.model
        cascade = model.name == "adaptive_cs_net" or (
            model.name == "generative" and not model.freeze_baseline
        )
        if self.train.checkpoint_blocks and not cascade:
            raise ValueError(
                "train.checkpoint_blocks: for adaptive_cs_net, or generative with freeze_baseline=false"
            )
        return self

    @model_validator(mode="after")
    def _croppable(self) -> "Config":
        rows, least = self.data.crop_rows, self.fewest_rows
        if rows is None:
            return self
        if least is None:
            raise ValueError("data.crop_rows: must be null for pix2pix with a downsample above 1")
        if rows < least:
            raise ValueError(
                f"data.crop_rows: {len(self.adversarial.filters)} adversarial.filters need {least} rows "
                f"at least, got {rows}"
            )
        return self

    @property
    def fewest_rows(self) -> int | None:
        """The least `data.crop_rows`; None where a crop would not be exact."""
        if self.model.name == "pix2pix" and self.model.downsample > 1:
            return None  # it resamples rows by their spectrum, to which those above and below a crop belong
        return max(FEWEST_ROWS, self.adversarial.smallest_side if self.adversarial.weight else 0)

    @property
    def draws(self) -> int:
        """Samples per slice in evaluation; one, where the model draws no noise."""
        return (self.validation.samples or 8) if self.model.name in STOCHASTIC else 1
