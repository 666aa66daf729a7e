"""Means, intervals and differences of figures, and how they read in files."""

import csv
import io
import json
import math

import numpy as np
import pytest

from lowlight_cli.core.evaluating import results, summary
from lowlight_cli.core.evaluating.results import Report, Result, Row


def result(name: str, *psnr: float, **others: float) -> Result:
    rows = [Row(str(number), {"psnr": value, **others}) for number, value in enumerate(psnr)]
    return Result(name, "model", parameters=7, multiply_adds_per_pixel=3, rows=rows)


def report(*found: Result) -> Report:
    machine = {"device": "cpu", "processor": "abacus", "threads": 1, "torch": "2"}
    return Report("lol", "test", "official", 3, True, machine, "own fit", list(found), ["a note"])


def test_the_mean_is_over_pictures_that_have_the_figure() -> None:
    found = Result("a", "model", rows=[Row("1", {"psnr": 10, "niqe": 4}), Row("2", {"psnr": 20})])
    assert found.mean() == {"psnr": 15, "niqe": 4}


def test_the_interval_is_that_of_the_mean() -> None:
    draws = np.random.default_rng(3).normal(20, 2, size=400)
    low, high = results.interval(tuple(draws))
    half = 1.96 * draws.std() / math.sqrt(400)
    assert (low, high) == pytest.approx((draws.mean() - half, draws.mean() + half), abs=0.02)
    assert results.interval(tuple(draws)) == (low, high)
    assert results.interval((20.0,)) is None
    assert results.interval((20.0, math.inf)) is None


def test_the_interval_is_the_same_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = tuple(np.random.default_rng(2).normal(20, 3, size=37))
    together = results.interval.__wrapped__(draws)
    monkeypatch.setattr(results, "AT_ONCE", 1000)
    assert results.interval.__wrapped__(draws) == together


def test_the_interval_draws_whole_scenes() -> None:
    """Pictures that say the same thing again make no interval narrower, and a scene of two weighs as two."""
    values, scenes = (10.0, 20.0, 24.0), (1, 2, 3)
    assert results.interval(values * 4, scenes * 4) == pytest.approx(results.interval(values))
    rows = [Row(f"{place}", {"psnr": values[place % 3]}, scenes[place % 3]) for place in range(12)]
    found = Result("a", "model", rows=rows)
    assert found.intervals()["psnr"] == pytest.approx(results.interval(values))
    base = Result("b", "model", rows=[Row(row.name, {"psnr": 0.0}) for row in rows])
    away = results.difference(found, base, "psnr")
    assert away is not None and away.interval == pytest.approx(results.interval(values))
    assert results.interval((1.0, 1.0, 4.0), (1, 1, 2)) == pytest.approx((1, 4))
    assert results.interval((1.0, 2.0), (1, 1)) is None


def test_a_paired_difference_sees_what_intervals_of_means_hide() -> None:
    spread = (5.0, 15.0, 25.0, 35.0)
    better = results.difference(result("b", *(x + 1 for x in spread)), result("a", *spread), "psnr")
    assert better is not None
    assert (better.mean, better.interval, better.better, better.pictures) == (1, (1, 1), 4, 4)
    low, high = results.interval(spread)
    assert high - low > 10


def test_lower_is_better_where_the_arrow_points_down() -> None:
    of, to = (Result(name, "model", rows=[Row("1", {"niqe": value})]) for name, value in (("b", 3.0), ("a", 4.0)))
    found = results.difference(of, to, "niqe")
    assert found is not None
    assert (found.mean, found.better) == (-1, 1)
    assert results.difference(of, to, "psnr") is None


def test_json_keeps_its_keys_and_holds_no_infinity() -> None:
    same, reference = result("same", math.inf, 30.0, 20.0), Result("truth", "reference", rows=[Row("0", {"niqe": 4})])
    found = json.loads(results.as_json(report(same, result("b", 10, 20, 30), reference)))
    assert found["dataset"] == "lol"
    assert found["split"] == "test"
    assert found["pairs"] == 3
    assert [model["name"] for model in found["models"]] == ["same", "b"]
    assert found["models"][0]["mean"]["psnr"] is None
    assert found["models"][0]["images"][0] == {"name": "0", "psnr": None}
    assert "psnr" not in found["models"][0]["interval"]
    assert found["models"][1]["interval"]["psnr"][0] < 20 < found["models"][1]["interval"]["psnr"][1]
    assert found["references"][0]["mean"] == {"niqe": 4}
    (difference,) = found["differences"]
    assert (difference["of"], difference["to"], difference["psnr"]["pictures"]) == ("b", "same", 2)
    assert found["notes"] == ["a note"]


def test_csv_has_a_line_a_picture_and_system() -> None:
    lines = list(csv.DictReader(io.StringIO(results.as_csv(report(result("a, b", 1.5, 2.5), result("c", 3))))))
    assert [(line["system"], line["picture"], float(line["psnr"])) for line in lines] == [
        ("a, b", "0", 1.5),
        ("a, b", "1", 2.5),
        ("c", "0", 3),
    ]


def test_markdown_tables_are_rectangular_and_name_their_variants() -> None:
    text = summary.as_markdown(report(result("a|b", 10, 20, 30, psnr_gt_mean=9), result("c", 11, 22, 33)))
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "PSNR dB GT-mean ↑" in tables[0][0]
    assert "20.00" in tables[0][2]
    assert "+2.00" in tables[1][2]
    assert "3 of 3" in tables[1][2]


def test_columns_say_which_way_is_better_and_in_which_variant() -> None:
    for key, figure in results.FIGURES.items():
        assert figure.label.endswith(figure.better)
        if "ssim" in key:
            assert "gray" in figure.name if "gray" in key else "RGB" in figure.name
        assert key.endswith("gt_mean") == figure.name.endswith("GT-mean")
    found = report(Result("a", "model", rows=[Row("1", {"niqe": 3.0})]))
    assert found.figures["niqe"].label == "NIQE own fit ↓"
