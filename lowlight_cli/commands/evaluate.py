import json
from pathlib import Path
from typing import Annotated

from .. import console
from ..settings import EvaluateSettings
from . import CONFIG, option


def evaluate(
    dataset: Annotated[str | None, option(EvaluateSettings, "dataset")] = None,
    data: Annotated[Path | None, option(EvaluateSettings, "data")] = None,
    model: Annotated[list[str] | None, option(EvaluateSettings, "model", "--model", "-m")] = None,
    json_file: Annotated[Path | None, option(EvaluateSettings, "json_file", "--json")] = None,
    device: Annotated[str | None, option(EvaluateSettings, "device")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Measure models on pairs: PSNR and SSIM of each picture, and their mean.

    For instance: lowlight evaluate --dataset lol
    """
    settings = EvaluateSettings.load(
        config, dataset=dataset, data=data, model=model or None, json_file=json_file, device=device
    )
    from ..core import datasets, evaluation
    from ..core.enhancer import Enhancer

    place = datasets.folder(settings.dataset, settings.data, "test")
    pairs = datasets.pairs(place)
    models = list(dict.fromkeys(settings.model))
    enhancers = [Enhancer(model, settings.device) for model in models]
    results: list[tuple[str, list[evaluation.Row]]] = []
    with console.counting("evaluating", len(pairs) * len(enhancers)) as counter:
        for name, enhancer in zip(evaluation.labels(models), enhancers, strict=True):
            found: list[evaluation.Row] = []
            results.append((name, found))
            for row in evaluation.rows(enhancer, pairs):
                found.append(row)
                counter.at(sum(len(rows) for _, rows in results))
    console.out.print(console.evaluation_table(f"{settings.dataset}, {len(pairs)} pairs", results))
    if settings.json_file is not None:
        report = {
            "dataset": settings.dataset,
            "split": "test" if settings.dataset == "lol" else None,
            "pairs": len(pairs),
            "models": [
                evaluation.as_record(name, enhancer.parameters, found)
                for (name, found), enhancer in zip(results, enhancers, strict=True)
            ],
        }
        evaluation.write(settings.json_file, json.dumps(report, indent=2, allow_nan=False) + "\n")
