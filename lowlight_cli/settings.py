"""What every command accepts, validated: one frozen model per command.

This module is a leaf: pydantic and the standard library, so that a bad value is reported before torch loads. Where
values come from stands in ``config``.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from .config import Settings, Table

DEFAULT_MODEL = "retinex-plus"
MODELS = sorted(path.stem for path in (Path(__file__).parent / "weights").glob("*.safetensors"))
"""Names of the models that came with the package."""
DATASETS = ("lol", "synthetic", "samples")
"""Names of data sets; any other is a folder."""


def comma_separated(value: object) -> object:
    """A list given as one string, as the environment must, or a single number."""
    if type(value) is int:
        return (value,)
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def usual_suffix(value: object) -> object:
    """jpg and tif, however they are spelled."""
    return {"jpeg": "jpg", "tiff": "tif"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


def in_words(value: object) -> object:
    """A number as the word that it is on the command line: settings files may have it plain."""
    return str(value) if type(value) is int else value


def tile_side(value: object) -> object:
    """auto, off, or a number of px that tiling can use."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if value not in ("auto", "off") and not (isinstance(value, int) and value >= 64 and value % 8 == 0):
        raise ValueError("give auto, off, or a multiple of 8 from 64 up")
    return value


def part_of_name(value: object) -> object:
    """A piece of a file's name."""
    if isinstance(value, str) and any(sign in value for sign in "/\\\0"):
        raise ValueError("a part of a file's name has no / or \\ in it")
    return value


def as_browsers_say(value: object) -> object:
    """An address as it stands in the headers Host and Origin."""
    if not isinstance(value, str):
        return value
    address = value.lower().removesuffix("/")
    return address.removesuffix(":443" if address.startswith("https:") else ":80")


Listed = Annotated[tuple[str, ...], BeforeValidator(comma_separated)]
Names = Annotated[Listed, Field(min_length=1)]
Epochs = Annotated[tuple[NonNegativeInt, ...], BeforeValidator(comma_separated)]
Tile = Annotated[Literal["auto", "off"] | int, BeforeValidator(tile_side)]
PIPE = Path("-")
"""Standard input or output in place of a file."""
STRONGEST = 1.5
Strength = Annotated[float, Field(ge=0, le=STRONGEST, description=f"0 to {STRONGEST}")]
Shadows = Annotated[float, Field(ge=0, le=1, description="0 to 1")]
Denoise = Literal["off", "light", "strong"]
Depth = Literal["keep", "8", "16"]
Subsampling = Literal["keep", "444", "422", "420"]
Maps = Literal["png", "png16", "tiff", "npz"]
Format = Literal["jpg", "png", "webp", "tif", "bmp", "avif", "jp2", "heic"]
DEVICE = "auto|cpu|mps|cuda(:[0-9]{1,2})?"
Device = Annotated[str, Field(pattern=f"^({DEVICE})$", description="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[int, Field(ge=0, le=1024)]
Precision = Literal["auto", "fp32", "bf16"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class LossWeights(Table):
    """Weights of the loss terms, as in the authors' code; the paper prints 0.001 for equal_r and 1 for smooth_relit.

    The last is retinex-plus's own, whose other terms stand in ``losses.restoration``."""

    recon: NonNegativeFloat = 1.0
    mutual: NonNegativeFloat = 0.001
    equal_r: NonNegativeFloat = 0.01
    smooth: NonNegativeFloat = 0.1
    smooth_relit: NonNegativeFloat = 3.0
    ssim: NonNegativeFloat = 0.0
    ssim_restored: NonNegativeFloat = 1.0


Value = TypeVar("Value")


def described(default: Value, description: str) -> Value:
    """A field with its default and the sentence that ``--help`` shows for it."""
    return Field(default, description=description)


def no_pipe(path: Path) -> Path:
    if path == PIPE:
        raise ValueError("- is standard output, and what is written here is a folder: name one")
    return path


Folder = Annotated[Path, AfterValidator(no_pipe)]


class DownloadSettings(Settings):
    """What ``lowlight download`` accepts."""

    names: Annotated[tuple[Literal["lol", "synthetic"], ...], BeforeValidator(comma_separated), Field(min_length=1)] = (
        described(("lol",), "The data sets: lol, synthetic.")
    )
    data: Path = described(Path("data"), "Data root; the pictures go into its folder lol or synthetic.")
    archive: Path | None = described(None, "Unpack this zip, fetched by hand, instead of downloading.")
    check: bool = described(False, "Look at every picture of what is there, and download nothing.")

    @model_validator(mode="after")
    def one_archive_for_one_name(self) -> Self:
        if self.archive is not None and (len(self.names) != 1 or self.check):
            raise ValueError("archive unpacks one data set: give one name, and no --check")
        return self


class SynthesiseSettings(Settings):
    """What ``lowlight synthesise`` accepts."""

    photos: Path
    out: Folder = described(Path("data/synthetic"), "New folder for low/ and high/.")
    copies: PositiveInt = described(1, "Pairs from each photograph, each in another light.")
    jpeg: Annotated[int, Field(ge=1, le=100)] | None = described(
        None, "Write the dark pictures as JPEG of this quality, as cameras do. Default: PNG."
    )
    seed: Seed = described(0, "Seed of light and noise.")


class TrainSettings(Settings):
    """What ``lowlight train`` accepts. The defaults are the authors' recipe, save for the number of pairs."""

    network: Literal["retinexnet", "retinex-plus"] = described(
        "retinexnet", "Network to train; --stage is for retinexnet alone."
    )
    stage: Literal["decom", "enhance", "separate", "joint"] = described(
        "separate", "What learns: one net, both one after the other (separate), or both at once (joint)."
    )
    dataset: Names = described(
        ("lol",), "lol, synthetic, samples, or a folder with low/ and high/; may be given several times."
    )
    data: Path = described(Path("data"), "Data root that holds lol/, or the unpacked data set itself.")
    photos: Path | None = described(
        None, "Folder of well-lit photographs from which --dataset synthetic is made, anew for each patch."
    )
    keep_flagged: bool = described(
        False,
        "Also train on pairs that are misaligned, not darker than their partner, or of two different scenes, and on "
        "photographs that are dark.",
    )
    run_dir: Folder | None = described(None, "Folder of the run's files. Default: a new one in runs/.")
    init: str | None = described(None, "Start from this model, by name or file; stage enhance needs it.")
    keep_context: bool = described(
        False, "retinex-plus only: keep the context nets of --init as they are; only the local network learns."
    )
    width: PositiveInt = described(64, "Channels of both nets; 64 is the paper's.")
    upsampling: Literal["resize", "transposed"] = described("resize", "How Enhance-Net goes back up to full size.")
    ignore_enhance_net: bool = described(False, "Stage joint only: no Enhance-Net, I_hat is 1.")
    exposure: Annotated[float, Field(ge=0, le=1)] = described(
        0.0, "Brighten darker pictures to this mean before the nets see them; 0, the authors' way, does not."
    )
    epochs: PositiveInt = described(100, "Passes over the pairs, in each phase.")
    batch: PositiveInt = described(16, "Patches per step.")
    patch: Annotated[int, Field(ge=16, multiple_of=8)] = described(48, "Side of a patch in px; the paper prints 96.")
    optimizer: Literal["adam", "adamw"] = described("adam", "Adam, or Adam with decoupled weight decay of 0.01.")
    lr: PositiveFloat = described(1e-3, "Learning rate at the start.")
    decom_lr: PositiveFloat | None = described(None, "Learning rate of Decom-Net alone. Default: lr.")
    enhance_lr: PositiveFloat | None = described(None, "Learning rate of Enhance-Net alone. Default: lr.")
    scheduler: Literal["step", "plateau", "cosine"] = described(
        "step", "How the rate falls: at decay_epochs, when the validation loss stalls, or to zero along a cosine."
    )
    restarts: Epochs = described(
        (), "Epochs after which the cosine starts again from the first rate; the model of then is kept as PHASE-EPOCH."
    )
    decay_epochs: Epochs = described((20,), "Where the step scheduler multiplies the rate by decay.")
    decay: Annotated[float, Field(gt=0, lt=1)] = described(0.1, "Factor of the step and the plateau scheduler.")
    patience: NonNegativeInt = described(
        1, "Validations in which the loss falls by less than 0.01 % before the plateau scheduler acts."
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = described(0.0, "Decay of the moving average of the weights; 0 is off.")
    clip: NonNegativeFloat = described(0.0, "Clip each step's gradient to this norm; 0 is off.")
    weights: LossWeights = described(LossWeights(), "Weights of the loss terms.")
    seed: Seed = described(0, "Seed of initial weights, order and crops.")
    validation: Annotated[float, Field(ge=0, le=0.5)] = described(
        0.05,
        "Share of each data set's pairs held out, as whole scenes; of photographs only where there are no pairs.",
    )
    validate_every: PositiveInt = described(10, "Epochs between validations.")
    checkpoint_every: PositiveInt = described(5, "Epochs between checkpoints.")
    precision: Precision = described("auto", "Arithmetic of the nets; auto is bf16 where it is fast.")
    device: Device = "auto"
    wandb: Literal["off", "offline", "online"] = described("off", "Log to Weights & Biases as well.")
    wandb_project: str = described("lowlight", "Weights & Biases project.")

    @model_validator(mode="after")
    def choices_agree(self) -> Self:
        if self.stage == "enhance" and self.init is None:
            raise ValueError("stage enhance keeps Decom-Net frozen: give the trained one with --init NAME or FILE")
        names = self.dataset_names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two data sets are called {twice}, as a model's file has them: rename one, or link to it")
        if self.photos is not None and "synthetic" not in self.dataset:
            raise ValueError("photos become the synthetic data set: add --dataset synthetic")
        if self.ignore_enhance_net and self.stage != "joint":
            raise ValueError("ignore_enhance_net is a way of joint training: use it with --stage joint")
        if self.network == "retinex-plus" and self.patch % 16:
            raise ValueError(f"retinex-plus needs a patch of a multiple of 16 px, not {self.patch}")
        if self.network == "retinex-plus" and self.stage != "separate":
            raise ValueError(f"stage {self.stage} is RetinexNet's: retinex-plus is one net, leave stage out")
        if self.keep_context and (self.network != "retinex-plus" or self.init is None):
            raise ValueError("keep_context needs --network retinex-plus and a trained one, --init NAME or FILE")
        for name in ("width", "upsampling", "exposure", "decom_lr", "enhance_lr"):
            if self.network == "retinex-plus" and self.changed(name):
                raise ValueError(f"{name} is RetinexNet's: retinex-plus is one net, leave it out")
        for name in LossWeights.model_fields:
            if name not in self.terms and self.weights.changed(name):
                raise ValueError(f"weights.{name} is of a loss term that these settings do not have: leave it out")
        for name in ("upsampling", "enhance_lr"):
            if self.ignore_enhance_net and self.changed(name):
                raise ValueError(f"{name} is Enhance-Net's: leave out ignore_enhance_net")
        if self.restarts and self.scheduler != "cosine":
            raise ValueError(f"restarts are the cosine's: use scheduler cosine, not {self.scheduler}")
        for name, users in (("decay_epochs", ["step"]), ("decay", ["step", "plateau"]), ("patience", ["plateau"])):
            if self.scheduler not in users and self.changed(name):
                raise ValueError(f"{name} means nothing to scheduler {self.scheduler}: use {' or '.join(users)}")
        for name, idle in (("decom_lr", self.stage == "enhance"), ("enhance_lr", self.stage == "decom")):
            if idle and self.changed(name):
                raise ValueError(f"{name} is of a net that stage {self.stage} does not train: leave it out")
        if self.scheduler == "plateau" and not self.validation:
            raise ValueError("scheduler plateau watches the validation loss: use --validation above 0")
        return self

    @property
    def terms(self) -> set[str]:
        """The loss terms, by weight, that are computed."""
        if self.network == "retinex-plus":
            return {"ssim_restored"}
        of_decom = set() if self.stage == "enhance" else {"recon", "mutual", "equal_r", "smooth"}
        of_enhance = set() if self.stage == "decom" else {"smooth_relit", "ssim"}
        return (of_decom | of_enhance) - ({"smooth_relit"} if self.ignore_enhance_net else set())

    @property
    def dataset_names(self) -> list[str]:
        """What the data sets are called, without the folders that they are in, which a model is to tell nobody."""
        return [Path(os.path.abspath(name)).name for name in self.dataset]  # noqa: PTH100  (leaves links)

    def located(self) -> dict[str, Any]:
        """All values as JSON holds them, every path in full, so that they mean the same in any folder."""
        values = self.model_dump(mode="json")
        for name in ("data", "photos", "run_dir"):
            values[name] = values[name] and os.path.abspath(values[name])  # noqa: PTH100  (leaves links)
        values["dataset"] = [name if name in DATASETS else os.path.abspath(name) for name in self.dataset]  # noqa: PTH100
        if self.init is not None and self.init not in MODELS:
            values["init"] = os.path.abspath(self.init)  # noqa: PTH100
        return values


Baseline = Literal["input", "gamma", "histeq", "clahe", "lime"]


class EvaluateSettings(Settings):
    """What ``lowlight evaluate`` accepts."""

    dataset: str = described(
        "lol",
        "lol (its test set, eval15), samples, synthetic, a folder with low/ and high/, or any folder of pictures: "
        "without truth there are NIQE and brightness.",
    )
    data: Path = described(Path("data"), "Data root that holds lol/, or the unpacked data set itself.")
    protocol: Literal["official", "scenes"] = described(
        "official",
        "official: LOL's own test set, 14 of whose 15 scenes are in the training set too. scenes: the scenes that "
        "lowlight train holds out by default.",
    )
    model: Listed = described(
        (),
        f"Packaged model or .safetensors file; may be given several times. Default: {DEFAULT_MODEL}, or none if there "
        "is a --baseline or --results.",
    )
    baseline: Annotated[tuple[Baseline, ...], BeforeValidator(comma_separated)] = described(
        (), "A classical method: input, gamma, histeq, clahe, lime; may be given several times."
    )
    results: Listed = described(
        (),
        "NAME=FOLDER: pictures that another method has made, named like the dark or the true ones; may be given "
        "several times.",
    )
    denoise: Denoise = described("off", "Smooth away the noise of dark places, models only.")
    ensemble: bool = described(
        False,
        "Average the answers to 8 turned and mirrored copies: a little more structure, 8 times the time, models only.",
    )
    precision: Precision = described(
        "fp32",
        "Arithmetic of the networks: fp32, nearly the same figures everywhere; auto, what enhance uses here; bf16.",
    )
    lpips: bool = described(
        True, "Measure LPIPS too, if the extra metrics is installed and AlexNet's weights can be had."
    )
    niqe: Path | None = described(
        None, "Pristine model of NIQE, an .npz file with mean and covariance. Default: our own fit."
    )
    json_file: Path | None = described(None, "Write all figures to this file, as JSON; - is standard output.")
    csv: Path | None = described(None, "Write the figures to this file, one line per picture and system.")
    markdown: Path | None = described(None, "Write the tables to this file, as Markdown.")
    save: Path | None = described(None, "Write the enhanced pictures to this folder, one folder per system.")
    sheet: Path | None = described(None, "Write a contact sheet to this file: input, each system, truth, with figures.")
    report: Path | None = described(None, "Write one HTML page to this file: tables, charts, before/after sliders.")
    overwrite: bool = described(False, "Let --save replace pictures of an earlier evaluation.")
    device: Device = "auto"

    @model_validator(mode="before")
    @classmethod
    def something_is_measured(cls, given: Any) -> Any:
        if isinstance(given, dict) and not any(given.get(name) for name in ("model", "baseline", "results")):
            return {**given, "model": (DEFAULT_MODEL,)}
        return given

    @model_validator(mode="after")
    def something_is_saved(self) -> Self:
        if self.save is not None and not (self.model or self.baseline):
            raise ValueError("save writes what models and baselines make: name one, or leave it out")
        for name in ("denoise", "ensemble", "precision"):
            if not self.model and self.changed(name):
                raise ValueError(f"{name} is for models: name one with --model, or leave it out")
        return self


class PictureSettings(Settings):
    """What every command accepts that works on pictures."""

    inputs: tuple[Path, ...] = described((), "Pictures, or folders of them.")
    model: str = described(
        DEFAULT_MODEL,
        f"A packaged model ({', '.join(MODELS)}) or a .safetensors file. Where noise is strong, take "
        "retinex-plus-noisy.",
    )
    overwrite: bool = described(False, "Replace results that exist; without it they are skipped.")
    denoise: Denoise = described("off", "Smooth away the noise of dark places.")
    ensemble: bool = described(
        False, "Average the answers to 8 turned and mirrored copies: a little more structure, 8 times the time."
    )
    dry_run: bool = described(False, "Say what would be done, and do nothing.")
    json_lines: bool = described(False, "Print one JSON object per picture.")
    device: Device = "auto"
    precision: Precision = described(
        "auto", "Arithmetic of the network; auto is bf16 where that is fast and the result is 8 bit."
    )
    tile: Tile = described(
        "auto",
        "Side in px of the tiles of large pictures: auto (by free memory), a multiple of 8 from 64 up, or off.",
    )
    threads: Threads = described(0, "Processor threads of the network; 0 is one for each core.")
    shard: Annotated[str, Field(pattern=r"^\d+/\d+$")] | None = described(
        None, "I/N: do only every Nth picture, starting with the Ith; N - 1 other machines do the rest."
    )

    @property
    def share(self) -> tuple[int, int]:
        """Which part of the pictures is meant, counted from 0, and of how many."""
        number, _, count = (self.shard or "1/1").partition("/")
        return int(number) - 1, int(count)

    @model_validator(mode="after")
    def share_is_one_of_them(self) -> Self:
        number, count = self.share
        if not 0 <= number < count:
            raise ValueError(f"shard {self.shard}: give 1/{count or 2} to {count or 2}/{count or 2}")
        return self


class EnhanceSettings(PictureSettings):
    """What ``lowlight enhance`` accepts."""

    inputs: tuple[Path, ...] = described((), "Pictures, folders of them, or - for standard input.")
    out: Path | None = described(
        None, "Folder or file for the results, or - for standard output. Default: NAME_bright beside the input."
    )
    suffix: Annotated[str | None, BeforeValidator(part_of_name)] = described(
        None, "Added to the names of results. Default: _bright beside the input, else none."
    )
    format: Annotated[Format | None, BeforeValidator(usual_suffix)] = described(
        None, "Format of the results. Default: that of the input, tif for camera raw, png where it cannot be written."
    )
    depth: Annotated[Depth, BeforeValidator(in_words)] = described("keep", "Bits per channel; PNG and TIFF hold 16.")
    quality: Annotated[int, Field(ge=1, le=100)] | None = described(
        None,
        "1 to 100, for JPEG, WebP, AVIF and HEIC. Default: the input's if both are JPEG, else 95; lossless WebP stays "
        "lossless.",
    )
    subsampling: Annotated[Subsampling, BeforeValidator(in_words)] = described("keep", "Colour resolution of JPEG.")
    strip: bool = described(False, "Leave out EXIF (with GPS), XMP, IPTC, comments and texts.")
    strength: Strength = described(1.0, "0 leaves the picture unchanged, 1 is the usual result, 1.5 the most.")
    shadows: Shadows = described(
        0.0, "Lift what stays in shadow, as in backlit pictures: 0 not at all, 1 until the light is even."
    )
    protect_highlights: bool = described(False, "Keep lamps and other bright places from burning out.")
    compare: bool = described(False, "Also write RESULT_compare.jpg, before and after side by side.")
    watch: bool = described(False, "Keep watching the folders, and enhance what arrives, until Ctrl-C.")

    @model_validator(mode="after")
    def a_share_is_of_what_is_there(self) -> Self:
        if self.watch and self.shard is not None:
            raise ValueError("shard counts the pictures that are there, and watch waits for others: leave one out")
        return self

    @model_validator(mode="after")
    def the_format_has_it(self) -> Self:
        named = usual_suffix(self.out.suffix.lower()[1:]) if self.out is not None else ""
        kind = self.format or (named if named in get_args(Format) else None)
        for name, formats in (("quality", ("jpg", "webp", "avif", "heic")), ("subsampling", ("jpg",))):
            if kind not in (None, *formats) and self.changed(name):
                raise ValueError(f"{name} means nothing to {kind}: use {' or '.join(formats)}, or leave it out")
        return self


class DecomposeSettings(PictureSettings):
    """What ``lowlight decompose`` accepts."""

    maps: Annotated[Maps, BeforeValidator(lambda value: "tiff" if value == "tif" else value)] = described(
        "png",
        "png and png16 (16 bit) cut I_hat off at 1, which RetinexNet's can exceed; tiff, and npz (one NumPy file), "
        "hold floats.",
    )
    out: Folder | None = described(None, "Folder for the maps. Default: beside the input.")


class ServeSettings(Settings):
    """What ``lowlight serve`` accepts."""

    host: str = described("127.0.0.1", "Address to listen on; 0.0.0.0 lets other machines in.")
    port: Annotated[int, Field(ge=0, le=65535)] = described(8000, "Port to listen on; 0 is any free one.")
    public: Annotated[str, BeforeValidator(as_browsers_say), Field(pattern=r"^https?://[^/\s?#@]+$")] | None = (
        described(None, "Public address of a proxy that forwards requests here, such as https://photos.example.org.")
    )
    model: Listed = described(
        (), "Packaged model or .safetensors file; may be given several times. Default: all packaged ones."
    )
    max_megapixels: Annotated[float, Field(gt=0, le=178)] = described(
        50.0, "Larger pictures are refused, before they are decoded; at most 178, what Pillow reads."
    )
    max_megabytes: PositiveInt = described(100, "Larger uploads are refused.")
    workers: Annotated[int, Field(ge=1, le=256)] = described(
        2, "Pictures worked on at once; a network computes one at a time."
    )
    queue: Annotated[int, Field(ge=0, le=200)] = described(
        8, "Pictures that may wait; further ones are told to try again later."
    )
    time_limit: PositiveFloat = described(600.0, "Seconds that a request may take to arrive, and to be answered.")
    device: Device = "auto"
    threads: Threads = described(0, "Processor threads of the network; 0 is one for each core.")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def address(self, port: int) -> str:
        """What to type into a browser."""
        name = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.host, self.host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}"
