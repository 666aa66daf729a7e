"""Pairing, scenes, alignment, and what a training run leaves out."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import SHARED, scenery

from lowlight_cli.core.data import datasets, likeness, synthetic, trainingset
from lowlight_cli.core.data.datasets import Pair, Photo, PixelPair
from lowlight_cli.core.errors import DatasetError
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import quantised


def touch(place: Path, *names: str) -> None:
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def split(found: list[Pair], pictures: list[PixelPair], fraction: float) -> trainingset.TrainingSet:
    faults = [trainingset.fault(*both) for both in zip(found, pictures, strict=True)]
    return trainingset.split(found, pictures, faults, fraction=fraction)


def pixel_pair(high: torch.Tensor, low: torch.Tensor | None = None) -> PixelPair:
    return PixelPair(quantised(high * 0.15 if low is None else low), quantised(high))


# Where the pairs are


@pytest.mark.parametrize("inside", ["lol", "."])
def test_lol_is_found_in_the_root_or_as_the_root(tmp_path: Path, inside: str) -> None:
    for part in ("our485", "eval15"):
        (tmp_path / inside / part).mkdir(parents=True)
    assert datasets.folder("lol", tmp_path, "train") == tmp_path / inside / "our485"
    assert datasets.folder("lol", tmp_path, "test") == tmp_path / inside / "eval15"


def test_lol_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lowlight download lol --data"):
        datasets.folder("lol", tmp_path, "train")


def test_of_lol_the_training_set_alone_is_learned(tmp_path: Path) -> None:
    touch(tmp_path, "our485/low/2.png", "our485/high/2.png", "eval15/low/1.png", "eval15/high/1.png")
    assert [pair.name for pair in datasets.to_train_on(["lol"], tmp_path, None)] == ["2"]


def test_any_folder_is_a_data_set(tmp_path: Path) -> None:
    assert datasets.folder(str(tmp_path), Path("data"), "train") == tmp_path


def test_pairs_match_by_stem_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "low/10.png", "low/9.png", "low/b.JPG", "high/9.jpg", "high/10.png", "high/b.png")
    touch(tmp_path, "low/.hidden.png", "low/notes.txt", "high/Thumbs.db")
    assert [(p.name, p.low.name, p.high.name) for p in datasets.pairs(tmp_path)] == [
        ("9", "9.png", "9.jpg"),
        ("10", "10.png", "10.png"),
        ("b", "b.JPG", "b.png"),
    ]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("Low/{}.png", "Normal/{}.png"),
        ("input/{}.png", "target/{}.jpg"),
        ("low/low0069{}.png", "high/normal0069{}.png"),  # as in LOL-v2
        ("LOW/{}_low.png", "High/{}-HIGH.png"),
    ],
)
def test_folders_and_names_as_other_data_sets_have_them(tmp_path: Path, low: str, high: str) -> None:
    touch(tmp_path, *(side.format(number) for side in (low, high) for number in (1, 2)))
    found = datasets.pairs(tmp_path)
    assert [pair.name[-1] for pair in found] == ["1", "2"]
    assert [pair[1:] for pair in found] == [
        (tmp_path / low.format(number), tmp_path / high.format(number)) for number in (1, 2)
    ]


def test_names_that_are_no_others_without_the_side_stay_whole(tmp_path: Path) -> None:
    touch(tmp_path, "low/low1.png", "low/1.png", "high/normal1.png", "high/high1.png")
    with pytest.raises(DatasetError, match=r"rename, so that both"):
        datasets.pairs(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["low/1.png"], "no folder high/"),
        (["low/a.txt", "high/b.txt"], "no pictures"),
        (
            ["low/1.png", "high/1.png", "low/3.png", "low/20.png"],
            r"3\.png: no picture of that name in high/ \(2 such\)",
        ),
        (["low/1.png", "high/1.png", "high/2.png"], r"2\.png: no picture of that name in low/"),
    ],
)
def test_pictures_that_are_not_pairs(tmp_path: Path, names: list[str], said: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DatasetError, match=said):
        datasets.pairs(tmp_path)


def test_pair_of_two_sizes(tmp_path: Path) -> None:
    images.write(tmp_path / "low.png", images.Picture(scenery(1, 20, 30)))
    images.write(tmp_path / "high.png", images.Picture(scenery(1, 24, 30)))
    with pytest.raises(DatasetError, match=r"low\.png is 20x30 but .*high\.png is 24x30"):
        datasets.decode(Pair("1", tmp_path / "low.png", tmp_path / "high.png"))


def test_decoded_keeps_the_order(pair_folder: Path) -> None:
    found = datasets.pairs(pair_folder)
    for pair, picture in zip(found, datasets.each_of(found, datasets.decode), strict=True):
        assert torch.equal(picture.high, quantised(images.read(pair.high).pixels))


# Alignment


def grain(seed: int, height: int, width: int) -> torch.Tensor:
    """A scene with detail, (3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4, width // 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -4), (-10, 12), (30, -20)])
def test_shift_is_measured_across_light_and_noise(down: int, right: int) -> None:
    scene = grain(1, 240, 280)
    noise = 0.01 * torch.randn(3, 160, 200, generator=torch.Generator().manual_seed(2))
    high = scene[:, 40:200, 40:240]
    low = scene[:, 40 - down : 200 - down, 40 - right : 240 - right] * 0.1 + noise
    assert likeness.shift(*pixel_pair(high, low)) == (down, right)


def test_misaligned_pairs_are_left_out_with_the_reason() -> None:
    scene = [grain(seed, 160, 200) for seed in range(6)]
    pictures = [pixel_pair(high[:, 20:140, 20:180]) for high in scene]
    pictures[3] = pixel_pair(scene[3][:, 20:140, 20:180], scene[3][:, 4:124, 0:160] * 0.1)
    found = [Pair(str(n), Path(f"low/{n}.png"), Path(f"high/{n}.png")) for n in range(6)]
    data = split(found, pictures, 0.2)
    assert data.left_out == [f"{Path('low/3.png')}: misaligned, 16 px down and 20 px right of its partner"]
    assert len(data.train) + len(data.validation) == 5


def test_pictures_with_nothing_to_see_are_not_called_misaligned() -> None:
    flat = torch.full((3, 80, 100), 0.5)
    noise = 0.01 * torch.randn(2, 3, 80, 100, generator=torch.Generator().manual_seed(0))
    assert likeness.shift(*pixel_pair(flat, flat * 0.1)) == (0, 0)
    pair = Pair("1", Path("low/1.png"), Path("high/1.png"))
    assert trainingset.fault(pair, pixel_pair(flat + noise[0], flat * 0.1 + noise[1])) is None


def test_pictures_of_two_scenes_are_no_pair() -> None:
    pair = Pair("1", Path("low/1.png"), Path("high/1.png"))
    across = torch.linspace(0.1, 0.9, 120).expand(3, 96, 120)
    down = torch.linspace(0.1, 0.9, 96)[:, None].expand(3, 96, 120)
    assert trainingset.fault(pair, pixel_pair(across, across * 0.1)) is None
    said = f"{Path('low/1.png')}: shows something else than its partner {Path('high/1.png')}"
    assert trainingset.fault(pair, pixel_pair(across, down * 0.1)) == said


def test_pictures_too_small_to_tell() -> None:
    assert likeness.shift(*pixel_pair(torch.rand(3, 8, 200))) == (0, 0)


def test_pair_that_is_not_darker_is_left_out() -> None:
    pictures = [pixel_pair(grain(seed, 64, 80)) for seed in range(4)]
    pictures[1] = PixelPair(low=pictures[1].high, high=pictures[1].low)
    found = [Pair(str(n), Path(f"low/{n}.png"), Path(f"high/{n}.png")) for n in range(4)]
    data = split(found, pictures, 0)
    assert data.left_out == [f"{Path('low/1.png')}: not darker than its partner {Path('high/1.png')}"]


def test_nothing_fit_to_train_on() -> None:
    picture = pixel_pair(grain(1, 64, 80))
    found = [Pair("1", Path("low/1.png"), Path("high/1.png"))]
    with pytest.raises(DatasetError, match="none of 1 pairs is fit"):
        split(found, [PixelPair(picture.high, picture.low)], 0)


# Photographs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three well-lit photographs, one of them large, and one that is too dark."""
    place = tmp_path / "photos"
    images.write(place / "a.png", images.Picture(grain(1, 64, 96)))
    images.write(place / "trip" / "b.jpg", images.Picture(grain(2, 64, 96)))
    images.write(place / "trip" / "big.jpg", images.Picture(grain(3, 1000, 500)))
    images.write(place / "night.png", images.Picture(grain(4, 64, 96) * 0.1))
    return place


def test_photographs_get_a_dark_counterpart_each_the_same_for_the_same_seed(photos: Path) -> None:
    found = datasets.photographs(photos, seed=1)
    assert [photo.name for photo in found] == ["a", "night", "trip_b", "trip_big"]
    pictures = list(datasets.each_of(found, datasets.decode))
    assert pictures[3].high.shape == pictures[3].low.shape == (3, 800, 400)
    assert [
        torch.equal(a.low, b.low) for a, b in zip(pictures, datasets.each_of(found, datasets.decode), strict=True)
    ] == [True] * 4
    (photos / "a.png").unlink()
    others = {photo.name: photo.seed for photo in datasets.photographs(photos, seed=1)}
    assert others.items() < {photo.name: photo.seed for photo in found}.items()
    assert not set(others.values()) & {photo.seed for photo in datasets.photographs(photos, seed=2)}


def test_training_set_of_pairs_and_photographs(photos: Path, pair_folder: Path) -> None:
    found = datasets.to_train_on([str(pair_folder), "synthetic"], Path("data"), photos)
    pictures, faults = zip(*trainingset.examined(found), strict=True)
    data = trainingset.split(found, pictures, faults, fraction=0)
    assert data.made == [False] * 8 + [True] * 3
    assert data.left_out == [f"{photos / 'night.png'}: too dark to stand for a well-lit photograph"]


def test_photographs_whose_names_become_alike_stay_apart(tmp_path: Path) -> None:
    for name in ("a/b.jpg", "a_b.jpg", "a/b.png"):
        images.write(tmp_path / "photos" / name, images.Picture(grain(len(name), 64, 96)))
    found = datasets.photographs(tmp_path / "photos", seed=1)
    assert len({photo.name for photo in found}) == len({photo.seed for photo in found}) == 3
    assert list(synthetic.synthesise(found, tmp_path / "out", jpeg=None)) == [None] * 3
    assert len(datasets.pairs(tmp_path / "out")) == 3


def test_a_damaged_photograph_is_left_out_and_named(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "a.png").read_bytes()
    (photos / "a.png").write_bytes(whole[: len(whole) // 2])
    todo = datasets.photographs(photos, seed=1)
    reasons = list(synthetic.synthesise(todo, tmp_path / "out", jpeg=None))
    assert [reason and reason.unreadable for reason in reasons] == [True, False, None, None]
    assert str(photos / "a.png") in reasons[0].reason and "damaged" in reasons[0].reason
    pictures, faults = zip(*trainingset.examined(todo), strict=True)
    data = trainingset.split(todo, pictures, [None] * 4, fraction=0)  # as with --keep-flagged
    assert len(data.train) == 3
    assert faults[:2] == tuple(reason.reason for reason in reasons[:2])


def test_no_more_is_decoded_than_is_wanted_soon(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "AHEAD", 3)
    seen: list[int] = []
    found = datasets.each_of(range(20), seen.append)
    next(found)
    assert sorted(seen) == [0, 1, 2]
    assert len([next(found) for _ in range(19)]) == 19 and sorted(seen) == list(range(20))


@pytest.mark.parametrize(("make", "said"), [(False, "no folder"), (True, "no pictures in this folder")])
def test_no_photographs(tmp_path: Path, make: bool, said: str) -> None:
    if make:
        (tmp_path / "photos").mkdir()
    with pytest.raises(DatasetError, match=said):
        datasets.photographs(tmp_path / "photos", seed=0)


def test_synthetic_pairs_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"download synthetic .* or .*synthesise"):
        datasets.to_train_on(["synthetic"], tmp_path, None)


def test_synthesised_data_set(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "data" / "synthetic"
    todo = datasets.photographs(photos, seed=1, copies=2)
    reasons = list(synthetic.synthesise(todo, out, jpeg=None))
    assert [reason is None for reason in reasons] == [True, True, False, False, True, True, True, True]
    found = datasets.pairs(datasets.folder("synthetic", tmp_path / "data", "train"))
    assert [pair.name for pair in found] == ["a_1", "a_2", "trip_b_1", "trip_b_2", "trip_big_1", "trip_big_2"]
    by_name = {photo.name: photo for photo in todo}
    for pair, picture in zip(found, datasets.each_of(found, datasets.decode), strict=True):
        assert torch.equal(picture.low, datasets.decode(by_name[pair.name]).low)
    record = json.loads((out / "synthesis.json").read_text())
    assert record.keys() == {pair.name for pair in found} and len(record["a_1"]["light"]) == 3
    for there, said in ((out, "is not empty"), (out / "synthesis.json", "not a folder")):
        with pytest.raises(DatasetError, match=said):
            list(synthetic.synthesise(todo, there, jpeg=None))


def test_a_link_to_an_empty_folder_leads_to_the_set(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    list(synthetic.synthesise(datasets.photographs(photos, seed=1), tmp_path / "link", jpeg=None))
    assert (tmp_path / "link").is_symlink()
    assert len(datasets.pairs(tmp_path / "disk")) == 3


def test_a_synthesised_set_is_on_the_disk_before_it_has_its_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(os, "sync", lambda: done.append("on the disk"), raising=False)
    monkeypatch.setattr(Path, "replace", lambda path, target: done.append(target.name) or replace(path, target))
    list(synthetic.synthesise(datasets.photographs(photos, seed=1), tmp_path / "out", jpeg=None))
    assert done[-2:] == ["on the disk", "out"]


def test_synthesised_data_set_as_cameras_write_it(photos: Path, tmp_path: Path) -> None:
    list(synthetic.synthesise(datasets.photographs(photos, seed=1), tmp_path / "out", jpeg=80))
    assert {path.suffix for path in (tmp_path / "out" / "low").iterdir()} == {".jpg"}
    assert {path.suffix for path in (tmp_path / "out" / "high").iterdir()} == {".png"}
    datasets.pairs(tmp_path / "out")


def test_interrupted_synthesis_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    making = synthetic.synthesise(datasets.photographs(photos, seed=1), tmp_path / "out", jpeg=None)
    next(making)
    making.close()
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


# Scenes


def test_scenes_join_pictures_that_look_alike() -> None:
    first, second = scenery(1, 64, 96) * 255, scenery(2, 64, 96) * 255
    brighter = (first * 0.7 + 40).to(torch.uint8)
    highs = [first.to(torch.uint8), second.to(torch.uint8), brighter]
    scene_of = likeness.scenes(highs)
    assert scene_of[0] == scene_of[2] != scene_of[1]


def test_scenes_join_through_a_chain() -> None:
    first, second = scenery(1, 64, 96), scenery(2, 64, 96)
    chain = [quantised(first + step * (second - first)) for step in torch.linspace(0, 1, 12)]
    assert len(set(likeness.scenes([chain[0], chain[-1]]))) == 2
    assert len(set(likeness.scenes(chain))) == 1


def test_whole_scenes_are_held_out() -> None:
    scene_of = [0, 0, 0, 3, 3, 5, 6, 7, 7, 7]
    judged = trainingset.held_out(scene_of, 0.3)
    assert len(judged) >= 3
    assert {scene_of[i] for i in judged}.isdisjoint(scene_of[i] for i in range(10) if i not in judged)
    assert trainingset.held_out(scene_of, 0.3) == judged < trainingset.held_out(scene_of, 0.6)
    assert trainingset.held_out(scene_of, 0.0) == set()


@pytest.mark.parametrize("others", [1, 2, 4])
def test_of_a_camera_that_stands_still_little_is_held_out(others: int) -> None:
    scene_of = [0] * 40 + list(range(1, others + 1))
    small = trainingset.held_out(scene_of, 0.05)
    assert small and all(scene_of[index] for index in small)
    assert small <= trainingset.held_out(scene_of, 0.1) <= trainingset.held_out(scene_of, 0.5)


@pytest.mark.parametrize(("name", "inside"), [("synthetic", ""), ("synthetic", "brightening"), ("mine", "")])
def test_what_was_learned_from_is_called_as_its_pairs_are(
    pair_folder: Path, tmp_path: Path, name: str, inside: str
) -> None:
    """Whoever is measured on them later asks by that name, whatever the data set was called in training."""
    place = tmp_path / (inside or name)
    pair_folder.rename(place)
    dataset, data = (name, place if inside else tmp_path) if name == "synthetic" else (str(place), tmp_path)
    found = datasets.to_train_on([dataset], data, None)
    learned = trainingset.split(found, list(map(datasets.decode, found)), [None] * 8, fraction=0.25)
    assert learned.learned_from == [place.name]
    assert all(called.startswith(f"{place.name}/") for called in learned.held_out)


def test_photographs_of_a_held_out_scene_are_left_out() -> None:
    scenes = [grain(seed, 64, 80) for seed in range(4)]
    pictures = [pixel_pair(high) for high in scenes] * 2
    found: list[Pair | Photo] = [Pair(str(n), Path(f"low/{n}.png"), Path(f"high/{n}.png")) for n in range(4)]
    found += [Photo(str(n), Path(f"photos/{n}.png"), n) for n in range(4)]
    data = trainingset.split(found, pictures, [None] * 8, fraction=0.25)
    (name,) = data.validation_names
    assert data.left_out == [f"{Path(f'photos/{name}.png')}: shows a scene that is held out"]
    assert len(data.train) == 6 and data.made == [False] * 3 + [True] * 3
    assert "photographs" in data.learned_from and "synthetic" not in data.learned_from
    assert not any(torch.equal(picture.high, data.validation[0].high) for picture in data.train)


def test_each_folder_holds_out_the_same_scenes_whatever_else_is_learned() -> None:
    def of(folder: str, numbers: Sequence[int]) -> list[Pair]:
        return [Pair(str(n), Path(f"{folder}/low/{n}.png"), Path(f"{folder}/high/{n}.png")) for n in numbers]

    def held(found: Sequence[Pair]) -> trainingset.TrainingSet:
        pictures = [pixel_pair(grain(int(pair.name), 64, 80)) for pair in found]
        return trainingset.split(found, pictures, [None] * len(found), fraction=0.25)

    ours, theirs = of("ours", range(8)), of("theirs", range(20, 32))
    alone = held(ours).held_out
    assert len(alone) == 2
    assert held([*ours, *theirs]).held_out == [*alone, *held(theirs).held_out]
    assert held([*of("synthetic", range(20, 32)), *ours]).held_out == alone


@pytest.mark.parametrize("order", [("ours", "copies"), ("copies", "ours")])
def test_what_another_folder_shows_of_a_held_out_scene_is_not_learned(order: tuple[str, str]) -> None:
    pictures = [pixel_pair(grain(n, 64, 80)) for n in range(8)] * 2
    found = [
        Pair(str(n), Path(f"{place}/low/{n}.png"), Path(f"{place}/high/{n}.png")) for place in order for n in range(8)
    ]
    data = trainingset.split(found, pictures, [None] * 16, fraction=0.25)
    assert data.held_out
    held = [high for _, high in data.validation]
    assert not any(torch.equal(high, each) for _, high in data.train for each in held)
    assert len(data.train) + len(data.held_out) + len(data.left_out) == 16


def test_of_several_folders_one_of_a_single_scene_is_learned() -> None:
    ours = [Pair(str(n), Path(f"ours/low/{n}.png"), Path(f"ours/high/{n}.png")) for n in range(8)]
    mine = [Pair(str(n), Path(f"mine/low/{n}.png"), Path(f"mine/high/{n}.png")) for n in range(3)]
    pictures = [pixel_pair(grain(n, 64, 80)) for n in range(8)] + [pixel_pair(grain(20, 64, 80))] * 3
    data = trainingset.split([*ours, *mine], pictures, [None] * 11, fraction=0.25)
    assert len(data.held_out) == 2 and all(name.startswith("ours/") for name in data.held_out)
    assert len(data.train) == 9


def test_one_scene_is_held_out_whole() -> None:
    pictures = [pixel_pair(grain(1, 64, 64))] * 3
    found = [Pair(str(n), Path(f"{n}"), Path(f"{n}")) for n in range(3)]
    data = split(found, pictures, 0.1)
    assert not data.train
    assert data.validation_names == ["0", "1", "2"]


# LOL itself, where it is


def test_lol_scenes_are_those_of_the_reference_grouping(lol: Path) -> None:
    reference = SHARED / "data" / "lol" / "scene_groups.json"
    if not reference.exists():
        pytest.skip("the reference grouping is not here")
    found = [(part, pair) for part in ("our485", "eval15") for pair in datasets.pairs(lol / part)]
    scene_of = likeness.scenes(quantised(images.read(pair.high).pixels) for _, pair in found)
    groups: dict[int, set[str]] = {}
    for scene, (part, pair) in zip(scene_of, found, strict=True):
        groups.setdefault(scene, set()).add(f"{part}/{pair.name}")
    wanted = [set(group) for group in json.loads(reference.read_text())["groups"]]
    alone = {f"{part}/{pair.name}" for part, pair in found} - set().union(*wanted)
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, [*wanted, *({name} for name in alone)]))


def test_of_lol_only_648_is_misaligned(lol: Path) -> None:
    found = [pair for pair in datasets.pairs(lol / "our485") if 600 <= int(pair.name) < 700]
    faults = [reason for _, reason in trainingset.examined(found)]
    assert [pair.name for pair, fault in zip(found, faults, strict=True) if fault is not None] == ["648"]
    (said,) = filter(None, faults)
    assert "648.png: misaligned" in said and "and 54 px right" in said


def test_two_pictures_of_one_name_are_refused(pair_folder: Path) -> None:
    shutil.copy(pair_folder / "low" / "0.png", pair_folder / "low" / "0.jpg")
    with pytest.raises(DatasetError, match="same name"):
        datasets.pairs(pair_folder)


def test_photographs_may_have_names_that_are_no_text(pair_folder: Path) -> None:
    odd = pair_folder / "high" / os.fsdecode(b"caf\xe9.png")
    shutil.copy(pair_folder / "high" / "0.png", odd)
    assert odd in [photo.high for photo in datasets.photographs(pair_folder / "high", 0)]


def test_the_folder_that_one_is_in_is_not_replaced(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    photos = datasets.photographs(pair_folder / "high", 0)
    with pytest.raises(DatasetError, match="name a new one"):
        list(synthetic.synthesise(photos, Path(), None))


def test_names_that_differ_in_zeros_have_one_order() -> None:
    assert len({datasets.natural(name) for name in ("1", "01", "001")}) == 3
    assert sorted(["10", "2", "a", "02"], key=datasets.natural) == ["02", "2", "10", "a"]


def test_a_pair_shifted_one_way_alone_is_misaligned() -> None:
    scene = F.interpolate(
        torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(1)), (160, 200), mode="bilinear"
    )[0]
    pair = datasets.Pair("1", Path("low/1.png"), Path("high/1.png"))
    both = datasets.PixelPair(*map(quantised, (scene[:, 20:140, :160] * 0.1, scene[:, 20:140, 20:180])))
    assert "misaligned, 20 px right of" in trainingset.fault(pair, both)


def test_a_picture_without_content_is_no_stranger() -> None:
    across = torch.linspace(0.1, 0.9, 120).expand(3, 96, 120)
    flat = torch.full((3, 96, 120), 0.05)
    assert not likeness.strangers(quantised(flat), quantised(across))
