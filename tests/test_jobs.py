"""Which pictures, and where their results go."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lowlight_cli.core.data import datasets
from lowlight_cli.core.enhancing import jobs, watch
from lowlight_cli.core.errors import DatasetError, PictureError
from lowlight_cli.core.pictures import images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for name in ("a.jpg", "b.PNG", "trip/c.webp", ".hidden.jpg", "notes.txt"):
        if name.endswith(".txt"):
            (folder / name).write_text("words")
        else:
            Image.new("RGB", (8, 8)).save(folder / name)
    return folder


def targets(found: list[jobs.Job], base: Path) -> dict[str, str]:
    return {
        job.source.relative_to(base).as_posix(): job.targets[0].relative_to(base).as_posix()
        for job in found
        if not job.fault
    }


@pytest.mark.parametrize(("name", "made"), [("f.", "f._bright.png"), ("f.v2.png", "f.v2_bright.png")])
def test_dots_of_a_name_stay(name: str, made: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / name, "PNG")
    (job,) = jobs.enhance_jobs([tmp_path / name], None, kind="png")
    assert job.targets == (tmp_path / made,)


def todo(found: list[jobs.Job]) -> list[jobs.Job]:
    return [job for job in found if not job.skip]


def test_a_folder_goes_into_a_folder_with_its_structure(photos: Path) -> None:
    base = photos.parent
    assert targets(jobs.enhance_jobs([photos], base / "bright"), base) == {
        "photos/a.jpg": "bright/a.jpg",
        "photos/b.PNG": "bright/b.PNG",
        "photos/trip/c.webp": "bright/trip/c.webp",
    }


def test_without_out_results_lie_beside_the_input(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = photos.parent
    assert targets(jobs.enhance_jobs([photos / "a.jpg"], None), base) == {"photos/a.jpg": "photos/a_bright.jpg"}
    assert targets(jobs.enhance_jobs([photos], None), base)["photos/trip/c.webp"] == "photos_bright/trip/c.webp"
    monkeypatch.chdir(photos)
    assert base / "photos_bright/trip/c.webp" in [job.targets[0] for job in jobs.enhance_jobs([Path()], None)]


def test_one_picture_goes_into_a_named_file(photos: Path) -> None:
    (job,) = jobs.enhance_jobs([photos / "a.jpg"], photos.parent / "x.png")
    assert job.targets == (photos.parent / "x.png",)
    with pytest.raises(PictureError, match="several pictures"):
        jobs.enhance_jobs([photos], photos.parent / "x.png")
    with pytest.raises(PictureError, match="several pictures"):  # before anything is written
        jobs.enhance_jobs([photos / "*.*"], photos.parent / "x.png")
    (job,) = jobs.enhance_jobs([photos / "*.jpg"], photos.parent / "x.png")
    assert job.targets == (photos.parent / "x.png",)
    with pytest.raises(PictureError, match=r"cannot write \.gif"):
        jobs.enhance_jobs([photos / "a.jpg"], photos.parent / "x.gif")
    with pytest.raises(PictureError, match="leave out --suffix"):
        jobs.enhance_jobs([photos / "a.jpg"], photos.parent / "x.png", suffix="_b")


def test_a_folder_may_have_a_dot_in_its_name(photos: Path) -> None:
    base = photos.parent
    assert targets(jobs.enhance_jobs([photos], base / "v1.5"), base)["photos/a.jpg"] == "v1.5/a.jpg"
    (job,) = jobs.enhance_jobs([photos / "a.jpg"], base / "walk.2024")
    assert job.targets == (base / "walk.2024/a.jpg",)


def test_maps_do_not_go_into_a_file(photos: Path) -> None:
    for name in ("x.png", "x.npz"):
        with pytest.raises(PictureError, match="cannot go into one file"):
            jobs.decompose_jobs([photos / "a.jpg"], photos.parent / name, "npz")


def test_results_inside_the_searched_folder_are_not_enhanced_again(photos: Path) -> None:
    (photos / "out").mkdir()
    Image.new("RGB", (8, 8)).save(photos / "out" / "a.jpg")
    assert len(jobs.enhance_jobs([photos], photos / "out")) == 3


def test_results_may_go_above_the_searched_folder(photos: Path) -> None:
    (job,) = jobs.enhance_jobs([photos / "trip"], photos)
    assert job.targets == (photos / "c.webp",) and not job.fault


def test_a_picture_named_twice_is_done_once(photos: Path) -> None:
    assert len(jobs.enhance_jobs([photos / "a.jpg", photos, photos / "a.jpg"], photos.parent / "out")) == 3


def test_an_output_is_never_an_input(photos: Path) -> None:
    assert all("would replace an input" in job.fault for job in jobs.enhance_jobs([photos], photos))
    (job,) = jobs.enhance_jobs([photos / "a.jpg"], photos / "a.jpg")
    assert "would replace an input" in job.fault


def test_results_never_come_to_lie_among_the_inputs_of_the_next_time(photos: Path, tmp_path: Path) -> None:
    found = jobs.enhance_jobs([photos], photos, kind="png")
    assert all("add --suffix" in job.fault for job in found if job.source.suffix != ".PNG")
    assert all(not job.fault for job in jobs.enhance_jobs([photos], photos, kind="png", suffix="_b"))
    assert all(not job.fault for job in jobs.enhance_jobs([photos], tmp_path / "out", kind="png"))
    (alone,) = jobs.enhance_jobs([photos / "a.jpg"], photos, kind="png", compare=True)
    assert not alone.fault
    for target in alone.targets:
        Image.new("RGB", (8, 8)).save(target)
    (again,) = todo(jobs.enhance_jobs([photos / "a.jpg", photos / "a_compare.jpg"], photos, kind="png", compare=True))
    assert again.finished


def test_the_panel_beside_maps_as_floats_is_no_input(photos: Path, tmp_path: Path) -> None:
    before = jobs.enhance_jobs([photos], tmp_path / "out")
    (photos / "a_panel.png").touch()
    assert len(todo(jobs.enhance_jobs([photos], tmp_path / "out"))) == len(before) + 1
    (photos / "a_maps.npz").touch()
    assert todo(jobs.enhance_jobs([photos], tmp_path / "out")) == before


def test_maps_beside_a_picture_are_no_inputs(photos: Path, tmp_path: Path) -> None:
    alone = photos / "a_enhanced.jpg"  # somebody's own, as it seems
    alone.touch()
    before = jobs.enhance_jobs([photos], tmp_path / "out")
    assert alone in {job.source for job in before} and todo(before) == before
    maps = {photos / f"a_{name}.png" for name in (*jobs.MAPS, "panel")}
    for path in maps:
        path.touch()
    after = jobs.enhance_jobs([photos], tmp_path / "out")
    assert todo(after) == before
    assert {job.source: job.skip for job in after if job.skip} == dict.fromkeys(maps, "a map that decompose made")
    assert [job.source for job in jobs.enhance_jobs([photos / "a_relit.png"], None)] == [photos / "a_relit.png"]


def test_two_pictures_never_share_an_output(photos: Path) -> None:
    (photos / "a.png").touch()
    first, second = jobs.decompose_jobs([photos / "a.jpg", photos / "a.png"], photos.parent / "maps")
    assert first.fault == ""
    assert "wanted by both" in second.fault


def test_before_and_after_of_two_pictures_of_one_name(photos: Path) -> None:
    (photos / "a.png").touch()
    found = jobs.enhance_jobs([photos], photos.parent / "bright", compare=True)
    names = {job.source.name: [path.name for path in job.targets] for job in found if not job.fault}
    assert names["a.jpg"] == ["a.jpg", "a_jpg_compare.jpg"]
    assert names["a.png"] == ["a.png", "a_png_compare.jpg"]
    assert names["b.PNG"] == ["b.PNG", "b_compare.jpg"]
    beside = jobs.enhance_jobs(sorted(photos.glob("a.*")), None, compare=True)
    for path in [path for job in beside for path in job.targets]:
        path.touch()
    assert todo(jobs.enhance_jobs(sorted(photos.glob("a*.*")), None, compare=True)) == beside


def test_an_empty_folder_and_a_missing_path_are_faults_of_their_own(photos: Path) -> None:
    (photos.parent / "empty").mkdir()
    empty, *rest = jobs.enhance_jobs([photos.parent / "empty", photos], photos.parent / "out")
    assert "no pictures" in empty.fault
    assert len(rest) == 3


def test_a_folder_that_cannot_be_read_is_a_fault_and_the_others_go_through(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def guarded(folder: str) -> Any:  # root may read anything, so permissions will not do
        if Path(folder).name == "trip":
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    *rest, closed = jobs.enhance_jobs([photos], photos.parent / "out")
    assert closed.fault == f"{photos / 'trip'}: this folder cannot be read"
    assert [job.source.name for job in rest] == ["a.jpg", "b.PNG"] and not any(job.fault for job in rest)
    (alone,) = jobs.enhance_jobs([photos / "trip"], photos.parent / "out")
    assert "cannot be read" in alone.fault
    with pytest.raises(DatasetError, match="trip: this folder cannot be read"):
        datasets.photographs(photos, seed=0)


def test_a_link_to_where_nobody_may_look_stops_no_other_picture(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = Path.stat

    def guarded(path: Path, **options: Any) -> os.stat_result:  # as a link into another's home does
        if path.name == "theirs.jpg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    (photos / "theirs.jpg").symlink_to(photos.parent / "closed.jpg")
    monkeypatch.setattr(Path, "stat", guarded)
    names = [job.source.name for job in jobs.enhance_jobs([photos], photos.parent / "out")]
    assert sorted(names) == ["a.jpg", "b.PNG", "c.webp", "theirs.jpg"]
    (alone,) = jobs.enhance_jobs([photos / "theirs.jpg"], photos.parent / "out")
    assert not alone.fault  # reading it will tell
    assert images.pixels(alone.source) == 0


def test_what_an_earlier_run_made_is_no_input(photos: Path) -> None:
    for jobs_of in (
        lambda: jobs.decompose_jobs([photos], None),
        lambda: jobs.enhance_jobs([photos], photos, suffix="_x"),
        lambda: jobs.enhance_jobs([photos / "a.jpg", photos / "a_bright.jpg"], None),
    ):
        first = jobs_of()
        for target in [target for job in first for target in job.targets]:
            Image.new("RGB", (8, 8)).save(target)
        assert todo(jobs_of()) == todo(first)
        assert all(job.finished and not job.fault for job in todo(first))


def test_what_an_earlier_run_made_is_no_input_for_other_options_either(photos: Path) -> None:
    def made(found: list[jobs.Job]) -> set[str]:
        for target in [target for job in found for target in job.targets if target.suffix != ".npz"]:
            Image.new("RGB", (8, 8)).save(target)
        return {job.source.name for job in todo(found)}

    originals = made(jobs.enhance_jobs([photos / "a.jpg", photos / "b.PNG"], None, compare=True))
    everything = sorted(photos.glob("[ab]*"))
    assert made(jobs.enhance_jobs(everything, None)) == originals
    assert made(jobs.enhance_jobs(everything, None, kind="png")) == originals
    assert made(jobs.enhance_jobs(sorted(photos.glob("[ab]*")), None, kind="webp")) == originals
    whole = made(jobs.decompose_jobs([photos], None, "png"))
    assert (
        whole == made(jobs.decompose_jobs([photos], None, "tiff")) == made(jobs.decompose_jobs([photos], None, "npz"))
    )


def test_of_a_picture_and_a_link_to_it_the_picture_is_done(photos: Path) -> None:
    (photos / "Latest.jpg").symlink_to("trip/c.webp")
    names = [job.source.relative_to(photos).as_posix() for job in jobs.enhance_jobs([photos], photos.parent / "out")]
    assert names == ["trip/c.webp", "a.jpg", "b.PNG"]


def test_linked_folders_are_searched_once(photos: Path) -> None:
    elsewhere = photos.parent / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (8, 8)).save(elsewhere / "d.jpg")
    (elsewhere / "back").symlink_to(photos)
    (elsewhere / "round").symlink_to(elsewhere)
    (photos / "album").symlink_to(elsewhere)
    (photos / "again").symlink_to(photos / "trip")
    found = jobs.enhance_jobs([photos], photos.parent / "out")
    assert sorted(job.source.relative_to(photos).as_posix() for job in found) == [
        "a.jpg",
        "album/d.jpg",
        "b.PNG",
        "trip/c.webp",
    ]


def test_a_picture_that_another_would_become_is_never_dropped(photos: Path) -> None:
    Image.new("RGB", (8, 8)).save(photos / "a.png")  # an original of its own, though a.jpg would become a.png
    found = jobs.enhance_jobs([photos], photos, kind="png")
    assert {job.source.name for job in found} == {"a.jpg", "a.png", "b.PNG", "c.webp"}
    assert "replace an input" in next(job.fault for job in found if job.source.name == "a.jpg")


def test_a_named_file_of_another_format_than_asked_for(photos: Path) -> None:
    with pytest.raises(PictureError, match="leave one of them out"):
        jobs.enhance_jobs([photos / "a.jpg"], photos.parent / "x.png", kind="jpg")
    assert jobs.enhance_jobs([photos / "a.jpg"], photos.parent / "x.jpeg", kind="jpg")[0].targets[0].name == "x.jpeg"


def test_sixteen_bits_need_a_format_that_holds_them(photos: Path) -> None:
    faults = {job.source.name: job.fault for job in jobs.enhance_jobs([photos], photos.parent / "out", wide=True)}
    assert faults["b.PNG"] == ""
    assert "JPEG holds 8 bits per channel: add --format png" in faults["a.jpg"]
    assert not any(job.fault for job in jobs.enhance_jobs([photos], photos.parent / "out", kind="tif", wide=True))


def test_what_is_no_file_is_not_written_over(photos: Path) -> None:
    (photos.parent / "out" / "a.jpg").mkdir(parents=True)
    found = jobs.enhance_jobs([photos], photos.parent / "out")
    assert ["is not a file" in job.fault for job in found] == [True, False, False]
    for plan in (jobs.enhance_jobs, jobs.decompose_jobs):
        with pytest.raises(PictureError, match=r"notes\.txt: not a folder"):
            plan([photos], photos / "notes.txt")


def test_where_nobody_may_write_is_a_fault_before_anything_is_done(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = photos / "trip"
    (closed / "c_bright.webp").touch()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != closed)  # root may write anywhere
    one, other = jobs.enhance_jobs([closed / "c.webp", photos / "a.jpg"], None)
    assert one.fault == other.fault == ""  # it is there already: skipped
    (closed / "c_bright.webp").unlink()
    one, other = jobs.enhance_jobs([closed / "c.webp", photos / "a.jpg"], None)
    assert f"c_bright.webp: {closed} is not a folder that you may write to: choose another" in one.fault
    assert other.fault == ""
    assert all(str(closed) in job.fault for job in jobs.enhance_jobs([photos], closed / "new" / "deeper"))


def test_what_is_not_there_is_a_fault_before_anything_is_done(photos: Path) -> None:
    (photos / "broken.jpg").symlink_to("nowhere.jpg")
    found = jobs.enhance_jobs([photos, photos / "gone.jpg"], photos.parent / "out")
    faults = {job.source.name: job.fault for job in found if job.fault}
    assert faults == {name: f"{photos / name}: no such file or folder" for name in ("broken.jpg", "gone.jpg")}


def test_a_file_that_comes_is_dated_and_one_that_nobody_may_see_is_tried_once(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch.changed(photos / "a.jpg") == (photos / "a.jpg").stat().st_mtime_ns
    assert watch.changed(photos / "gone.jpg") == watch.changed(photos) == 0

    def closed(path: Path, **_: Any) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", closed)
    assert watch.changed(photos / "a.jpg") == 1
