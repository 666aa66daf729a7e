"""What is measured of systems over pictures."""

import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from PIL import ExifTags, Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight_cli.core import checkpoints, metrics
from lowlight_cli.core.data import datasets, trainingset
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.errors import DatasetError, LowlightError
from lowlight_cli.core.evaluating import evaluation, lpips, measuring, niqe, systems, testset
from lowlight_cli.core.evaluating.measuring import Measured
from lowlight_cli.core.evaluating.systems import System
from lowlight_cli.core.evaluating.testset import Pixels, Sample
from lowlight_cli.core.networks import RetinexNet, RetinexPlus
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import luma, quantised
from lowlight_cli.settings import MODELS, EvaluateSettings, TrainSettings


def chosen(**how: object) -> list[System]:
    return systems.chosen(EvaluateSettings(device="cpu", **how))


def measured(place: Path, *by: System) -> list[Measured]:
    return list(measuring.measure(testset.samples(place), by, niqe.load(), None, "cpu"))


def put(path: Path, height: int, width: int, seed: int = 0) -> torch.Tensor:
    pixels = torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))
    images.write(path, images.Picture(pixels))
    return pixels


def test_what_is_measured_is_the_file_that_would_be_saved(pair_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    (system,) = chosen(model=(str(tiny_model),))
    of_system = [now for now in measured(pair_folder, system) if now.system is system]
    assert [now.row.name for now in of_system] == [*map(str, range(8))]
    pair = datasets.pairs(pair_folder)[3]
    enhanced = Enhancer(str(tiny_model), "cpu").enhance(images.read(pair.low).pixels)
    images.write(tmp_path / "enhanced.png", images.Picture(enhanced))
    saved, truth = (
        quantised(images.read(path).pixels).permute(1, 2, 0).numpy() for path in (tmp_path / "enhanced.png", pair.high)
    )
    row = of_system[3].row
    assert (of_system[3].enhanced.permute(1, 2, 0).numpy() == saved).all()
    assert row.figures["psnr"] == pytest.approx(peak_signal_noise_ratio(truth, saved), abs=1e-6)
    similarity = structural_similarity(
        truth, saved, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2
    )
    assert row.figures["ssim"] == pytest.approx(similarity, abs=1e-6)
    luma = (torch.from_numpy(saved).double() / 255 * torch.tensor([0.299, 0.587, 0.114])).sum(-1)
    assert row.figures["brightness"] == pytest.approx(luma.mean().item())
    assert row.figures["ms"] > 0
    assert row.figures["megapixels_per_second"] == pytest.approx(48 * 64 / 1000 / row.figures["ms"])


def test_networks_compute_in_fp32_unless_told_otherwise(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.fast_bf16", lambda _: True)
    low = (60 * torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(1))).to(torch.uint8)
    whole, rough = (Enhancer(str(tiny_model), "cpu", precision=how).enhance(low) for how in ("fp32", "bf16"))
    assert not torch.equal(whole, rough)
    for how, wanted in ({}, whole), ({"precision": "auto"}, rough), ({"precision": "bf16"}, rough):
        (system,) = chosen(model=(str(tiny_model),), **how)
        assert torch.equal(system.enhance(Pixels(Sample("a", Path("a.png")), low, None, {})), wanted)


def test_the_first_pass_of_a_model_is_before_the_clock(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    forward = RetinexNet.forward
    monkeypatch.setattr(RetinexNet, "forward", lambda *given: passes.append(1) or forward(*given))
    chosen(model=(str(tiny_model),))
    assert passes


def test_gt_mean_stands_in_columns_of_its_own(pair_folder: Path) -> None:
    (system,) = chosen(baseline=("input",))
    row = measured(pair_folder, system)[0].row
    pair = datasets.decode(datasets.pairs(pair_folder)[0])
    low, high = (side[None].double() / 255 for side in pair)
    assert row.figures["psnr"] == pytest.approx(metrics.psnr(low, high).item())
    assert row.figures["psnr_gt_mean"] == pytest.approx(metrics.psnr(metrics.gt_mean(low, high), high).item())
    assert row.figures["psnr_gt_mean"] > row.figures["psnr"] + 5


def test_pictures_of_several_sizes_are_measured_in_order(tmp_path: Path) -> None:
    sizes = [(20, 30), (20, 30), (30, 20), (20, 30), (12, 15)]
    for number, size in enumerate(sizes):
        for side in ("low", "high"):
            put(tmp_path / side / f"{number}.png", *size, seed=number + 10 * (side == "high"))
    (system,) = chosen(baseline=("gamma",))
    found = [now for now in measured(tmp_path, system) if now.system is system]
    assert [now.row.name for now in found] == ["0", "1", "2", "3", "4"]
    assert [tuple(now.enhanced.shape[1:]) for now in found] == sizes
    for name in ("1", "4"):  # the same alone as in company
        for side in ("low", "high"):
            source = tmp_path / side / f"{name}.png"
            images.save(images.to_image(images.read(source).pixels), tmp_path / f"only{name}" / side / f"{name}.png")
        alone = measured(tmp_path / f"only{name}", system)[0].row.figures
        together = found[int(name)].row.figures
        assert alone["psnr"] == pytest.approx(together["psnr"])
        assert alone["ssim"] == pytest.approx(together["ssim"])


def test_the_truth_is_measured_as_reference_without_time_or_likeness(tmp_path: Path) -> None:
    for side in ("low", "high"):
        put(tmp_path / side / "a.png", 100, 120, seed=len(side))
    last = measured(tmp_path, *chosen(baseline=("clahe",)))[-1]
    assert (last.system.name, last.system.kind) == ("truth", "reference")
    assert last.row.figures.keys() == {"niqe", "brightness"}
    high = luma(datasets.decode(datasets.pairs(tmp_path)[0]).high[None].double() / 255)
    assert last.row.figures["brightness"] == pytest.approx(high.mean().item())
    assert last.row.figures["niqe"] == pytest.approx(niqe.niqe(high, niqe.load()).item())


def test_a_folder_without_truth_has_niqe_and_brightness(tmp_path: Path) -> None:
    put(tmp_path / "night.png", 100, 130)
    put(tmp_path / "more" / "night.jpg", 100, 130, seed=1)
    put(tmp_path / "tiny.png", 30, 30)
    samples = testset.samples(tmp_path)
    assert [sample.name for sample in samples] == ["more/night", "night", "tiny"]
    found = measured(tmp_path, *chosen(baseline=("gamma",)))
    of_gamma = {now.row.name: now.row.figures for now in found if now.system.name == "gamma"}
    assert of_gamma["night"].keys() == {"niqe", "brightness", "ms", "megapixels_per_second"}
    assert "niqe" not in of_gamma["tiny"]
    assert {now.system.name for now in found if now.system.kind == "reference"} == {"input"}


def test_names_that_differ_only_in_suffix_stay_apart(tmp_path: Path) -> None:
    put(tmp_path / "a.png", 20, 20)
    put(tmp_path / "a.jpg", 20, 20)
    assert [sample.name for sample in testset.samples(tmp_path)] == ["a.jpg", "a.png"]


def test_too_small_for_ssim_is_said(tmp_path: Path) -> None:
    for side in ("low", "high"):
        put(tmp_path / side / "a.png", 10, 40)
    with pytest.raises(DatasetError, match=r"a\.png is 10x40, and SSIM needs 11 px a side \(1 such\)"):
        list(evaluation.run(EvaluateSettings(dataset=str(tmp_path), baseline=("input",))))


def test_pairs_that_differ_are_named_before_anything_is_computed(pair_folder: Path, tmp_path: Path) -> None:
    for number in (6, 7):
        put(pair_folder / "high" / f"{number}.png", 49, 64)
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("input",), lpips=False, save=tmp_path / "out")
    with pytest.raises(DatasetError, match=r"6\.png is 48x64 but .*6\.png is 49x64 \(2 such\)"):
        list(evaluation.run(settings))
    assert not (tmp_path / "out").exists()


def test_a_picture_that_lies_turned_has_the_size_that_it_is_seen_in(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg", exif=exif)
    assert images.size(tmp_path / "a.jpg") == (64, 48) == images.read(tmp_path / "a.jpg").size
    put(tmp_path / "b.png", 48, 64)
    assert images.size(tmp_path / "b.png") == (48, 64)
    assert images.size(tmp_path) is images.size(tmp_path / "none.png") is None


def test_truths_are_never_taken_for_pictures_to_enhance(pair_folder: Path) -> None:
    with pytest.raises(DatasetError, match=f"give one such folder: {pair_folder}$"):
        testset.samples(pair_folder.parent)
    assert len(testset.samples(pair_folder / "low")) == 8  # given by itself, it is a folder of pictures
    (pair_folder / "low").rename(pair_folder / "Input")
    (pair_folder / "high").rename(pair_folder / "Normal")
    assert [sample.high is not None for sample in testset.samples(pair_folder)] == [True] * 8


def test_one_result_does_not_stand_for_two_pictures(tmp_path: Path) -> None:
    for name in ("set/x/img.png", "set/y/img.png", "set/t.png", "flat/img.png", "flat/t.png"):
        put(tmp_path / name, 20, 30)
    found = testset.samples(tmp_path / "set")
    with pytest.raises(DatasetError, match=r"img\.png: the result of x/img or of y/img\? give each its own"):
        testset.stored(tmp_path / "flat", found)
    put(tmp_path / "flat" / "x" / "img.png", 20, 30)
    assert [path.parent.name for path in testset.stored(tmp_path / "flat", found).values()] == ["flat", "x", "flat"]


def test_what_others_have_made_is_measured_like_a_saved_result(
    pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    how = {"dataset": str(pair_folder), "lpips": False}
    *_, (first, _) = evaluation.run(EvaluateSettings(**how, model=(str(tiny_model),), save=tmp_path / "out"))
    folder = tmp_path / "out" / "tiny"
    (folder / "7.png").rename(folder / "high 7.png")
    (pair_folder / "low" / "7.png").rename(pair_folder / "low" / "low 7.png")
    with pytest.raises(DatasetError, match="no picture of that name"):
        list(evaluation.run(EvaluateSettings(**how)))
    (pair_folder / "high" / "7.png").rename(pair_folder / "high" / "low 7.png")
    with pytest.raises(DatasetError, match=r"no result for low 7 \(1 of 8 such\)"):
        list(evaluation.run(EvaluateSettings(**how, results=(str(folder),))))
    (folder / "high 7.png").rename(folder / "low 7.png")
    *_, (report, _) = evaluation.run(EvaluateSettings(**how, results=(f"theirs={folder}", str(folder))))
    assert [(result.name, result.kind) for result in report.systems] == [("theirs", "results"), ("tiny", "results")]
    for ours, theirs in zip(first.systems[0].rows, report.systems[0].rows, strict=True):
        same = ours.figures.keys() - {"ms", "megapixels_per_second", "reflectance_consistency"}
        assert theirs.figures == {key: ours.figures[key] for key in same}
    with pytest.raises(DatasetError, match="another system is called gamma"):
        list(evaluation.run(EvaluateSettings(**how, baseline=("gamma",), results=(f"gamma={folder}",))))
    put(folder / "3.png", 47, 64)
    with pytest.raises(DatasetError, match=r"3\.png is 48x64 but .*3\.png is 47x64"):
        list(evaluation.run(EvaluateSettings(**how, results=(str(folder),))))


def test_an_interrupted_evaluation_gives_what_all_have_made(pair_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "BATCH", 3)
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("input", "gamma"), lpips=False, sheet=Path("x.png"))
    events = evaluation.run(settings)
    for event in events:
        if isinstance(event, evaluation.Progress) and event.done == 9 + 5:  # two of gamma's second batch
            break
    report, gallery = events.throw(KeyboardInterrupt())
    assert report.title.endswith("5 pairs")
    assert replace(report, pictures=1).title.endswith("1 pair")
    assert report.stopped and report.pictures == 5 and "stopped after 5 of 8 pictures" in report.notes
    assert [len(result.rows) for result in report.systems] == [5, 5]
    assert list(gallery.pictures) == ["0", "1", "2", "3", "4"]
    assert [list(result.tones) for result in report.systems] == [["0", "1", "2", "3", "4"]] * 2
    events = evaluation.run(settings)
    for event in events:
        if isinstance(event, evaluation.Progress) and event.done == 24 - 1:  # all but the last of the truths
            break
    report, _ = events.throw(KeyboardInterrupt())
    assert [(result.name, len(result.rows)) for result in report.results] == [("input", 8), ("gamma", 8)]
    events = evaluation.run(settings)
    next(events)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())


def test_a_failure_late_on_loses_nothing_of_what_was_measured(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "BATCH", 3)
    made = tmp_path / "made"
    shutil.copytree(pair_folder / "high", made)
    damaged = made / "6.png"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("gamma",), results=(f"theirs={made}",), lpips=False)
    *_, (report, _) = evaluation.run(settings)
    assert [len(result.rows) for result in report.systems] == [6, 6]
    assert not report.stopped and "stopped after 6 of 8 pictures" in report.notes
    assert len(report.left_out) == 1 and "6.png" in report.left_out[0]


def test_the_bar_is_full_at_the_end_though_a_picture_is_left_out(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / f"{name}.png", 100, 100)
    (tmp_path / "b.png").write_bytes(b"none")
    *_, last, (report, _) = evaluation.run(EvaluateSettings(dataset=str(tmp_path), baseline=("gamma",), lpips=False))
    assert len(report.left_out) == 1
    assert isinstance(last, evaluation.Progress) and last.done == last.total == 5


def test_a_mean_over_fewer_pictures_is_said(tmp_path: Path) -> None:
    for name, side in (("a", 100), ("b", 60)):
        for folder in ("low", "high"):
            put(tmp_path / folder / f"{name}.png", side, 100)
    *_, (report, _) = evaluation.run(EvaluateSettings(dataset=str(tmp_path), baseline=("gamma",), lpips=False))
    assert report.notes == ["NIQE is the mean of 1 of 2 pictures: it needs sides of 96 px, and not to be flat"]


def test_reflectances_of_low_and_high_are_compared(pair_folder: Path, tiny_model: Path) -> None:
    (system,) = chosen(model=(str(tiny_model),))
    row = measured(pair_folder, system)[0].row
    low, high = (side.float() / 255 for side in datasets.decode(datasets.pairs(pair_folder)[0]))
    enhancer = Enhancer(str(tiny_model), "cpu")
    expected = (enhancer.decompose(low).reflectance - enhancer.decompose(high).reflectance).abs().mean().item()
    assert row.figures["reflectance_consistency"] == pytest.approx(expected, abs=1e-6)


def test_reflectances_of_large_pictures_are_compared_in_the_middle(tmp_path: Path, tiny_model: Path) -> None:
    for side in ("low", "high"):
        put(tmp_path / side / "a.png", 200, 260, seed=len(side))
    (system,) = chosen(model=(str(tiny_model),))
    row = measured(tmp_path, system)[0].row
    enhancer = Enhancer(str(tiny_model), "cpu")
    low, high = (
        enhancer.decompose(side[:, 4:196, 34:226].float() / 255).reflectance
        for side in datasets.decode(datasets.pairs(tmp_path)[0])
    )
    assert row.figures["reflectance_consistency"] == pytest.approx((low - high).abs().mean().item(), abs=1e-6)


def test_denoising_is_measured_and_noted(pair_folder: Path, tiny_model: Path) -> None:
    settings = EvaluateSettings(
        dataset=str(pair_folder), model=(str(tiny_model),), baseline=("input",), denoise="light", lpips=False
    )
    *_, finished = evaluation.run(settings)
    assert isinstance(finished, evaluation.Finished)
    low, high = (side.float() / 255 for side in datasets.decode(datasets.pairs(pair_folder)[0]))
    enhancer = Enhancer(str(tiny_model), "cpu")
    expected = quantised(enhancer.enhance(low, denoise="light")) / 255
    plain = quantised(enhancer.enhance(low)) / 255
    model, baseline, _ = finished.report.results
    assert model.rows[0].figures["psnr"] == pytest.approx(metrics.psnr(expected[None], high[None]).item(), abs=1e-4)
    assert not torch.equal(expected, plain)
    assert baseline.rows[0].figures["psnr"] == pytest.approx(metrics.psnr(low[None], high[None]).item(), abs=1e-4)
    assert "models with --denoise light" in finished.report.notes


def test_known_maps_are_scored(tmp_path: Path, tiny_model: Path) -> None:
    """The true maps of one picture are what the model itself says, of another they are something else."""
    enhancer = Enhancer(str(tiny_model), "cpu")
    for name in ("own", "other", "black"):
        low = put(tmp_path / "low" / f"{name}.png", 40, 48)
        put(tmp_path / "high" / f"{name}.png", 40, 48, seed=1)
        maps = enhancer.decompose(quantised(low).float() / 255)
        for kind, pixels in (("reflectance", maps.reflectance), ("illumination", maps.illumination)):
            true = {"own": pixels, "other": torch.rand_like(pixels), "black": torch.zeros_like(pixels)}[name]
            images.save(images.to_image(true), tmp_path / "truth" / f"{name}_{kind}.png")
    (system,) = chosen(model=(str(tiny_model),))
    figures = {now.row.name: now.row.figures for now in measured(tmp_path, system) if now.system is system}
    black, other, own = (figures[name] for name in ("black", "other", "own"))
    for key in ("lmse_reflectance", "lmse_illumination"):
        assert own[key] < 1e-3
        assert other[key] > 0.05
        assert key not in black


def test_a_map_of_another_size_is_said(tmp_path: Path) -> None:
    for side, height in (("low/a", 40), ("high/a", 40), ("truth/a_reflectance", 41)):
        put(tmp_path / f"{side}.png", height, 48)
    with pytest.raises(DatasetError, match="one size"):
        measured(tmp_path, *chosen(baseline=("input",)))


def test_multiply_adds_are_those_of_the_layers() -> None:
    decom = 4 * 64 * 9**2 + 5 * 64 * 64 * 3**2 + 64 * 4 * 3**2
    assert systems.multiply_adds(RetinexNet(ignore_enhance_net=True), 40, 64) == decom * 40 * 64
    net = RetinexPlus(widths=(4, 4, 4, 4), depths=(1, 1, 1, 1), context=6)
    assert 0 < systems.multiply_adds(net, 64, 64) < systems.multiply_adds(net, 128, 64)


def test_brightness_transfer_is_recorded(tmp_path: Path) -> None:
    for side, level in (("low", 0.2), ("high", 0.8)):
        images.write(tmp_path / side / "a.png", images.Picture(torch.full((3, 20, 30), level)))
    truth = measured(tmp_path)[0]
    total, pixels = measuring.tones(truth)
    level = int(0.2 * len(pixels))
    assert pixels[level] == pixels.sum() == 600
    assert (total[level] / pixels[level]).item() == pytest.approx(0.8)


def test_the_protocol_scenes_measures_what_training_never_saw(pair_folder: Path, tiny_model: Path) -> None:
    settings = EvaluateSettings(dataset=str(pair_folder), protocol="scenes", baseline=("input",), lpips=False)
    *_, (report, _) = evaluation.run(settings)
    names = [row.name for row in report.results[0].rows]
    pairs = datasets.pairs(pair_folder)
    training = TrainSettings()
    pictures, faults = zip(*trainingset.examined(pairs), strict=True)
    split = trainingset.split(pairs, pictures, faults, fraction=training.validation)
    assert names == split.validation_names
    assert 0 < len(names) == len(pairs) - len(split.train)
    assert report.split == "held-out scenes"


def test_scenes_of_lol_are_of_its_training_set(pair_folder: Path) -> None:
    for path in sorted(pair_folder.rglob("*.png")):
        part = "our485" if path.stem < "4" else "eval15"
        place = pair_folder / part / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    settings = EvaluateSettings(data=pair_folder, baseline=("input",), lpips=False)
    *_, (scenes, _) = evaluation.run(settings.model_copy(update={"protocol": "scenes"}))
    *_, (official, _) = evaluation.run(settings)
    assert {row.name for row in scenes.results[0].rows} < {"0", "1", "2", "3"}
    assert {row.name for row in official.results[0].rows} == {"4", "5", "6", "7"}


def test_one_scene_is_measured_whole(pair_folder: Path) -> None:
    for side in ("low", "high"):
        for path in (pair_folder / side).glob("[1-7].png"):
            shutil.copy(pair_folder / side / "0.png", path)
    settings = EvaluateSettings(dataset=str(pair_folder), protocol="scenes", baseline=("input",), lpips=False)
    *_, (report, _) = evaluation.run(settings)
    assert report.pictures == 8


def test_a_model_that_may_have_seen_the_scenes_is_named(pair_folder: Path, tmp_path: Path) -> None:
    settings = EvaluateSettings(dataset=str(pair_folder), protocol="scenes", baseline=("input",), lpips=False)
    *_, (report, _) = evaluation.run(settings)
    judged = [f"{pair_folder.name}/{row.name}" for row in report.results[0].rows]
    elsewhere = [f"elsewhere/{row.name}" for row in report.results[0].rows]
    models = []
    here = [pair_folder.name, "elsewhere"]
    for name, about in {
        "fair": {"held_out": judged + elsewhere, "learned_from": here},
        "other": {"held_out": judged[1:] + elsewhere, "learned_from": here},
        "stranger": {"held_out": elsewhere, "learned_from": ["elsewhere"]},
        "silent": {},
        "half": {"held_out": judged, "learned_from": here, "phase": "decom"},
    }.items():
        checkpoints.save(RetinexNet(width=4), tmp_path / f"{name}.safetensors", about)
        models.append(str(tmp_path / f"{name}.safetensors"))
    *_, (report, _) = evaluation.run(settings.model_copy(update={"model": tuple(models), "protocol": "official"}))
    assert [note.partition(":")[0] for note in report.notes] == ["half", "fair", "other", "half", "no NIQE"]
    assert report.notes[2] == f"other: training did not hold out {8 - len(judged) + 1} of these 8 pairs"
    assert report.protocol is None
    *_, (report, _) = evaluation.run(settings.model_copy(update={"model": tuple(models)}))
    assert [note.partition(":")[0] for note in report.notes] == ["half", "other", "silent", "no NIQE"]
    assert report.protocol == "scenes"
    assert "Enhance-Net was never trained" in report.notes[0]
    assert f"1 of these {len(judged)}" in report.notes[1]


def test_packaged_models_say_what_was_held_out() -> None:
    abouts = [checkpoints.load(name)[1] for name in MODELS]
    held_out = [about["held_out"] for about in abouts]
    assert set().union(*(about["learned_from"] for about in abouts)) <= {"lol", "our485", "photographs"}
    assert all(len(names) == 26 for names in held_out)
    assert len({tuple(names) for names in held_out}) == 1


def test_scenes_need_pairs(tmp_path: Path) -> None:
    put(tmp_path / "a.png", 20, 20)
    settings = EvaluateSettings(dataset=str(tmp_path), protocol="scenes", baseline=("input",))
    with pytest.raises(DatasetError, match="pairs only"):
        list(evaluation.run(settings))


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["retinexnet", "runs/a/best.safetensors"], ["retinexnet", "best"]),
        (["runs/a/best.safetensors", "./runs/b/best.safetensors"], ["a/best", "b/best"]),
        (["a/a/best.safetensors", "../b/a/best.safetensors"], ["a/a/best", "b/a/best"]),
        (["v1.5"], ["v1.5"]),
        (["mine/gamma.safetensors", "mine/truth.safetensors"], ["mine/gamma", "mine/truth"]),
        (["retinexnet", "mine/retinexnet.safetensors"], ["retinexnet", "mine/retinexnet"]),
    ],
)
def test_models_have_short_names_that_differ(models: list[str], expected: list[str]) -> None:
    assert systems.labels(models) == expected


def test_a_damaged_file_of_lpips_is_no_fault_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(**_: object) -> None:
        raise UnpicklingError("invalid load key")

    image = SimpleNamespace(LearnedPerceptualImagePatchSimilarity=damaged)
    monkeypatch.setitem(sys.modules, "torchmetrics", SimpleNamespace(image=image))
    monkeypatch.setitem(sys.modules, "torchmetrics.image", image)
    with pytest.raises(LowlightError, match=r"cannot be loaded \(UnpicklingError\): delete them in .*checkpoints"):
        lpips.load(torch.device("cpu"))


def test_without_a_network_lpips_is_left_out_and_that_is_said(
    pair_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torchmetrics", reason="the extra metrics is not installed")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no weights here"))

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("input",))
    *_, (report, _) = evaluation.run(settings)
    note, _ = report.notes
    assert "LPIPS left out" in note
    assert "lpips" not in report.figures
    assert capsys.readouterr() == ("", "")


def test_without_the_extra_lpips_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics.image", None)
    with pytest.raises(LowlightError, match=r"lowlight\[metrics\]"):
        lpips.load(torch.device("cpu"))


def test_lpips_is_measured_picture_by_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a random trunk in place of AlexNet's weights: the plumbing, not the values."""
    pytest.importorskip("torchmetrics", reason="the extra metrics is not installed")
    import torchvision

    plain = torchvision.models.alexnet
    monkeypatch.setattr("torchvision.models.alexnet", lambda **_: plain(weights=None))
    distance = lpips.load(torch.device("cpu"))
    a, b = torch.rand(2, 2, 3, 64, 64, dtype=torch.float64)
    b[0] = a[0]
    found = distance(a, b)
    assert found.shape == (2,)
    assert found[0] == 0
    assert found[1] > 0
    assert math.isfinite(found[1])
    for side, there in ((lpips.SMALLEST, True), (lpips.SMALLEST - 1, False)):  # too small for the trunk: no figure
        assert distance(a[..., :side], b[..., :side]).isfinite().tolist() == [there] * 2


def test_a_missing_truth_names_the_picture(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="night"):
        _ = Sample("night", tmp_path / "night.png").pair


def test_dark_pictures_of_sixteen_bit_keep_their_depth(tmp_path: Path) -> None:
    high = torch.rand(3, 30, 40, generator=torch.Generator().manual_seed(0))
    low = quantised(high * 0.01, torch.uint16)
    images.write(tmp_path / "low" / "a.png", images.Picture(low))
    images.write(tmp_path / "high" / "a.png", images.Picture(high))
    assert len(images.read(tmp_path / "low" / "a.png").samples.to(torch.int32).unique()) > 256
    (system,) = chosen(baseline=("gamma",))
    bright = measured(tmp_path, system)[0].enhanced
    assert bright.equal(quantised((low.float() / 65535) ** (1 / 2.2)))


def test_the_input_is_measured_once_though_it_is_system_and_reference(tmp_path: Path) -> None:
    put(tmp_path / "a.png", 100, 100)
    *_, (report, _) = evaluation.run(EvaluateSettings(dataset=str(tmp_path), baseline=("gamma", "input")))
    assert [(result.name, result.kind, len(result.rows)) for result in report.results] == [
        ("gamma", "baseline", 1),
        ("input", "baseline", 1),
    ]


def test_large_pictures_are_measured_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        put(tmp_path / f"{number}.png", 40, 50, seed=number)
    (system,) = chosen(baseline=("gamma",))
    together = [now.row.figures["brightness"] for now in measured(tmp_path, system) if now.system is system]
    monkeypatch.setattr(measuring, "PIXELS", 1)
    alone = [now for now in measured(tmp_path, system) if now.system is system]
    assert [now.row.name for now in alone] == ["0", "1", "2"]
    assert [now.row.figures["brightness"] for now in alone] == pytest.approx(together)


def test_every_figure_against_the_truth() -> None:
    target = torch.rand(1, 3, 40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = 0.3 * target.flip(1)
    found, fair = measuring.against(ours, target), metrics.gt_mean(ours, target)
    for suffix, picture in (("", ours), ("_gt_mean", fair)):
        assert found["psnr" + suffix].equal(metrics.psnr(picture, target))
        assert found["ssim" + suffix].equal(metrics.ssim(picture, target))
        assert found["ssim_gray" + suffix].equal(metrics.ssim(luma(picture), luma(target)))
    assert len({value.item() for value in found.values()}) == 6
