"""Precedence, validation, and that nothing unknown is swallowed."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from lowlight_cli.config import ConfigError, environment
from lowlight_cli.settings import EnhanceSettings, EvaluateSettings, ServeSettings, TrainSettings


def recipe(tmp_path: Path, text: str, name: str = "recipe.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_defaults_then_file_then_environment_then_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = recipe(tmp_path, 'epochs = 7\nbatch = 8\nlr = 0.5\nstage = "joint"\n[weights]\nmutual = 0.25\n')
    monkeypatch.setenv("LOWLIGHT_BATCH", "4")
    monkeypatch.setenv("LOWLIGHT_LR", "0.25")
    found = TrainSettings.load(config, lr=0.125, patch=None)
    assert (found.epochs, found.batch, found.lr, found.patch) == (7, 4, 0.125, 48)
    assert (found.weights.mutual, found.weights.equal_r) == (0.25, 0.01)


def test_the_authors_recipe_is_the_default() -> None:
    found = TrainSettings()
    assert (found.epochs, found.batch, found.patch, found.lr, found.decay_epochs) == (100, 16, 48, 1e-3, (20,))
    weights = {"recon": 1.0, "mutual": 0.001, "equal_r": 0.01, "smooth": 0.1, "smooth_relit": 3.0, "ssim": 0.0}
    weights |= {"ssim_restored": 1.0}  # retinex-plus, ours
    assert found.weights.model_dump() == weights
    assert (found.optimizer, found.ema, found.clip, found.upsampling) == ("adam", 0.0, 0.0, "resize")


def test_lists_in_the_environment_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWLIGHT_MODEL", "retinexnet, mine.safetensors")
    monkeypatch.setenv("LOWLIGHT_DECAY_EPOCHS", "5,10")
    assert EvaluateSettings.load().model == ("retinexnet", "mine.safetensors")
    assert TrainSettings.load().decay_epochs == (5, 10)
    assert TrainSettings.load(decay_epochs=5).decay_epochs == (5,)


def test_json_settings_of_a_run_can_be_replayed(tmp_path: Path) -> None:
    first = TrainSettings(stage="joint", epochs=3, dataset=("a", "b"))
    config = recipe(tmp_path, json.dumps(first.model_dump(mode="json")), "settings.json")
    assert TrainSettings.load(config) == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pach = 48", "pach"),
        ("patch = 50", "multiple of 8"),
        ("epochs = 0", "greater than 0"),
        ('stage = "both"', "stage both: give decom, enhance, separate or joint"),
        ('stage = "enhance"', "--init"),
        ("[weights]\nmutal = 1", "mutal"),
        ('device = "gpu"', "device gpu: give auto, cpu, cuda, cuda:N or mps"),
        ('network = "retinex-plus"\npatch = 40', "multiple of 16 px, not 40"),
        ('network = "retinex-plus"\nstage = "joint"', "leave stage out"),
        ('epochs = "many"', "epochs many: should be a valid integer$"),
        ("ignore_enhance_net = true", "--stage joint"),
        ("exposure = 1.5", "exposure 1.5: should be less than or equal to 1"),
        ('network = "retinex-plus"\nexposure = 0.25', "exposure is RetinexNet's"),
        ('upsampling = "transposed"\nstage = "joint"\nignore_enhance_net = true', "leave out"),
        ('scheduler = "plateau"\nvalidation = 0', "--validation above 0"),
        ("restarts = [10]", "use scheduler cosine, not step"),
        ('scheduler = "cosine"\ndecay_epochs = [5]', "decay_epochs means nothing to scheduler cosine: use step"),
        ('scheduler = "cosine"\ndecay = 0.5', "decay means nothing to scheduler cosine: use step or plateau"),
        ("patience = 3", "patience means nothing to scheduler step: use plateau"),
        ('stage = "decom"\nenhance_lr = 1e-4', "enhance_lr is of a net that stage decom does not train"),
        ('stage = "enhance"\ninit = "retinexnet"\ndecom_lr = 1e-4', "decom_lr is of a net that stage enhance"),
        ('stage = "joint"\nignore_enhance_net = true\nenhance_lr = 1e-4', "enhance_lr is Enhance-Net's"),
        ('stage = "joint"\nignore_enhance_net = true\nupsampling = "transposed"', "upsampling is Enhance-Net's"),
        ('network = "retinex-plus"\npatch = 64\nupsampling = "transposed"', "upsampling is RetinexNet's"),
        ('network = "retinex-plus"\npatch = 64\ndecom_lr = 1e-4', "decom_lr is RetinexNet's"),
        ('keep_context = true\ninit = "retinexnet"', "keep_context needs --network retinex-plus"),
        ('network = "retinex-plus"\npatch = 64\nkeep_context = true', "keep_context needs .*--init"),
        ("dataset = []", "dataset: give at least 1$"),
        ("decay_epochs = true", "decay_epochs True: give a list$"),
    ],
)
def test_bad_values_and_unknown_keys_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        TrainSettings.load(recipe(tmp_path, text))
    assert "Input" not in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_where_a_bad_value_came_from_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = recipe(tmp_path, "epoch = 3\nbatch = 0")
    monkeypatch.setenv("LOWLIGHT_LR", "fast")
    with pytest.raises(ConfigError) as caught:
        TrainSettings.load(config, patch=50)
    said = sorted(str(caught.value).split("; "))
    assert [each.partition(" should")[0] for each in said] == [
        f"{config}: batch 0:",
        f"{config}: epoch: no such setting: did you mean epochs?",
        "LOWLIGHT_LR, lr fast:",
        "patch 50:",
    ]


def test_options_may_stand_in_a_file_as_they_are_typed(tmp_path: Path) -> None:
    config = recipe(tmp_path, 'json = true\n"protect-highlights" = true\nformat = "jpeg"')
    found = EnhanceSettings.load(config)
    assert (found.json_lines, found.protect_highlights, found.format) == (True, True, "jpg")
    assert EvaluateSettings.load(recipe(tmp_path, 'json = "figures.json"')).json_file == Path("figures.json")


def test_weights_are_a_table_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWLIGHT_WEIGHTS", "recon = 3")
    with pytest.raises(ConfigError, match=r"LOWLIGHT_WEIGHTS, weights: give a table, \[weights\], in a --config file"):
        TrainSettings.load()


@pytest.mark.parametrize(("name", "value"), [("threads", 100_000), ("device", "cuda:99999999999999999999")])
def test_numbers_that_no_machine_has(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} {value}: "):
        EnhanceSettings.load(**{name: value})


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.toml: not valid TOML"):
        TrainSettings.load(recipe(tmp_path, "epochs ="))
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        TrainSettings.load(tmp_path / "absent.toml")


def test_a_variable_that_no_command_knows_is_refused() -> None:
    assert environment(TrainSettings, {"LOWLIGHT_MODEL": "x", "LOWLIGHT_SEED": "3", "PATH": "/"}) == {
        "seed": "LOWLIGHT_SEED"
    }
    with pytest.raises(ConfigError, match="LOWLIGHT_PACH"):
        environment(TrainSettings, {"LOWLIGHT_PACH": "48"})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainSettings().epochs = 3  # type: ignore[misc]


def test_variables_have_the_names_of_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOWLIGHT_DRY_RUN", "perhaps")
    with pytest.raises(ConfigError, match="LOWLIGHT_DRY_RUN, dry_run perhaps"):
        EnhanceSettings.load()
    monkeypatch.setenv("LOWLIGHT_DRY_RUN", "true")
    monkeypatch.setenv("LOWLIGHT_JSON_LINES", "true")
    monkeypatch.setenv("LOWLIGHT_JSON_FILE", "f.json")
    assert EnhanceSettings.load().json_lines and EnhanceSettings.load().dry_run
    assert EvaluateSettings.load().json_file == Path("f.json")
    monkeypatch.setenv("LOWLIGHT_JSON", "true")  # evaluate would write a file of that name
    for settings in (EnhanceSettings, EvaluateSettings, TrainSettings):
        with pytest.raises(ConfigError, match=r"LOWLIGHT_JSON .* use LOWLIGHT_JSON_FILE or LOWLIGHT_JSON_LINES"):
            settings.load()


def test_what_is_empty_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWLIGHT_OUT", "")
    with pytest.raises(ConfigError, match="LOWLIGHT_OUT, out: empty"):
        EnhanceSettings.load()
    monkeypatch.delenv("LOWLIGHT_OUT")
    with pytest.raises(ConfigError, match=r"recipe\.toml: init: empty"):
        TrainSettings.load(recipe(tmp_path, 'init = ""'))
    assert EnhanceSettings.load(suffix="").suffix == ""


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert TrainSettings.load(recipe(tmp_path, "\ufeffepochs = 3")).epochs == 3


def test_a_misspelt_weight_is_told_from_the_table_that_holds_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"weights\.mutul: no such setting: did you mean weights\.mutual\?"):
        TrainSettings.load(recipe(tmp_path, "weights.mutul = 1"))


def test_no_number_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="strength nan: give a number"):
        EnhanceSettings.load(strength=float("nan"))
    with pytest.raises(ConfigError, match="max_megapixels inf: give a number"):
        ServeSettings.load(max_megapixels=float("inf"))
    with pytest.raises(ConfigError, match=r"weights\.ssim inf: give a number"):
        TrainSettings.load(recipe(tmp_path, "weights.ssim = inf"))


@pytest.mark.parametrize("name", ["workers", "queue"])
def test_no_more_threads_than_connections(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} 100000: should be less than or equal to"):
        ServeSettings.load(**{name: 100_000})


def test_no_more_megapixels_than_can_be_read() -> None:
    with pytest.raises(ConfigError, match="max_megapixels 250"):
        ServeSettings.load(max_megapixels=250)


def test_others_results_are_not_saved_again() -> None:
    with pytest.raises(ConfigError, match="save writes what models and baselines make"):
        EvaluateSettings.load(results=("theirs/",), save=Path("out"))


@pytest.mark.parametrize("options", [{"denoise": "light"}, {"ensemble": True}, {"precision": "bf16"}])
def test_what_is_for_models_alone_is_refused_without_one(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} is for models: name one with --model"):
        EvaluateSettings.load(baseline=("clahe",), **options)
    assert EvaluateSettings.load(baseline=("clahe",), model=("retinexnet",), **options).baseline == ("clahe",)
    assert EvaluateSettings.load(**options).model


def test_what_a_format_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"quality means nothing to png: use jpg or webp"):
        EnhanceSettings.load(format="png", quality=80)
    with pytest.raises(ConfigError, match=r"subsampling means nothing to webp: use jpg, or leave it out"):
        EnhanceSettings.load(format="webp", quality=80, subsampling="420")
    with pytest.raises(ConfigError, match=r"quality means nothing to tif: use jpg"):
        EnhanceSettings.load(out=Path("bright.TIFF"), quality=80)
    assert EnhanceSettings.load(out=Path("photos.2024"), quality=80).quality == 80
    assert EnhanceSettings.load(format="jpeg", quality=80, subsampling="420").quality == 80
    assert EnhanceSettings.load(quality=80).quality == 80


def test_a_share_of_pictures_that_are_still_to_come_is_refused() -> None:
    with pytest.raises(ConfigError, match="shard counts the pictures that are there"):
        EnhanceSettings.load(watch=True, shard="1/2")
    assert EnhanceSettings.load(watch=True).watch and EnhanceSettings.load(shard="1/2").share == (0, 2)


def test_numbers_stand_plain_in_a_file(tmp_path: Path) -> None:
    found = EnhanceSettings.load(recipe(tmp_path, "depth = 16\nsubsampling = 420"))
    assert (found.depth, found.subsampling) == ("16", "420")


@pytest.mark.parametrize(
    "text",
    [
        'network = "retinex-plus"\nweights.smooth = 0.2',
        "weights.ssim_restored = 2",
        'stage = "decom"\nweights.ssim = 0.2',
        'stage = "enhance"\ninit = "retinexnet"\nweights.recon = 2',
        'stage = "joint"\nignore_enhance_net = true\nweights.smooth_relit = 1',
    ],
)
def test_a_weight_without_a_term_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"weights\.\w+ is of a loss term that these settings do not have"):
        TrainSettings.load(recipe(tmp_path, text))


def test_a_seed_is_one_that_torch_knows() -> None:
    with pytest.raises(ConfigError, match="seed 18446744073709551616: should be less than"):
        TrainSettings.load(seed=2**64)


def test_two_data_sets_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two data sets are called Train, as a model's file has them: rename one"):
        TrainSettings.load(dataset=("real/Train", "synthetic/Train"))
    assert TrainSettings.load(dataset=("real/Train", "lol")).dataset_names == ["Train", "lol"]


def test_a_rate_falls() -> None:
    with pytest.raises(ConfigError, match=r"decay 1\.0: should be less than 1"):
        TrainSettings.load(decay=1.0, scheduler="plateau")


def test_a_false_option_wins_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("overwrite = true")
    assert EnhanceSettings.load(tmp_path / "a.toml", overwrite=False).overwrite is False


def test_a_misspelt_variable_is_told_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"LOWLIGHT_STRENTH sets nothing: did you mean LOWLIGHT_STRENGTH\?"):
        environment(EnhanceSettings, {"LOWLIGHT_STRENTH": "1"})
