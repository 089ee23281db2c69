"""Tell MLflow about a trained model: from the stage that trains it, or from its files afterwards."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.comparison.titles import colour_of, title_of
from pipeline.core.command import InputError
from pipeline.core.hashes import md5
from pipeline.reporting import figures, stamp
from pipeline.reporting.stamp import fingerprint
from pipeline.tracking.headline import headline
from pipeline.tracking.locked import locked_dependencies
from pipeline.tracking.machine import MACHINE, VERDICT_WORDS
from pipeline.tracking.metric_names import SIZE, TEST, VALIDATION, VERDICT
from pipeline.tracking.paths import DESCRIPTION
from pipeline.tracking.run_record import EVALUATE, environment_of
from pipeline.tracking.store import FINGERPRINT
from pipeline.tracking.tracked_run import COLOUR, TrackedRun
from pipeline.tracking.tracker import Tracker
from pipeline.trained.names import ModelName
from pipeline.trained.scores import SCORE_OF, TITLES
from pipeline.trained.trained import BASELINE, CARD, HISTORY, Trained

_REVIEWS, _METRICS = "reviews.parquet", "metrics.json"
_NUMBERS = ("statistics.json", "memory.json")
_NO_MODEL = "#999999"  # a comparison has the colour of none
# Artifacts of a comparison that MLflow shows as tables.
_MODELS, _DIFFERENCES = "models.json", "differences.json"


def run_params(card: Mapping[str, Any]) -> dict[str, Any]:
    """Name the parameters of a run: what was asked for."""
    return {"dataset": card["dataset"], "model": card["model"], "seed": card["seed"], **card["settings"]}


def data_params(description: Path) -> dict[str, Any]:
    """Read from data.json how the texts were split and cut, by the names of params.yaml; no names without the file."""
    if not description.is_file():
        return {}
    settings = json.loads(description.read_text(encoding="utf-8")).get("settings", {})
    return {"preprocess.seed" if name == "seed" else name: value for name, value in settings.items()}


def finish(tracked: TrackedRun, trained: Trained, tokenizer: Path) -> None:
    """Complete a training run from the files that the stage left.

    Args:
        tracked: the run, with the numbers of its epochs.
        trained: the files.
        tokenizer: tokenizer.json, logged with a network; the baseline has none.
    """
    card = trained.card
    name, digest = next(iter(card["inputs"].items()))
    data = Path(name)
    metrics = {f"{VALIDATION}{name}": value for name, value in card["validation"].items()}
    metrics |= {f"{SIZE}{name}": card[name] for name in ("parameters", "recurrent_parameters") if name in card}
    if "best_epoch" in card:
        metrics[f"{VALIDATION}best_epoch"] = card["best_epoch"]
    tracked.all_of(
        run_params(card) | data_params(data.with_name(DESCRIPTION.name)),
        {"gatewise.model": card["model"], "gatewise.seed": str(card["seed"]), COLOUR: colour_of(card["model"])},
        metrics,
        _description(trained),
    )
    # The data set is reviews.parquet; the tokens made from it, which a network reads, have a name of their own.
    used = card["dataset"] if data.name == _REVIEWS else f"{card['dataset']} {data.stem}"
    tracked.dataset(used, digest, data, "training")
    tracked.files(trained.folder / CARD)
    if len(trained.history):
        picture = figures.learning_curves(
            trained.history.reset_index().assign(model=card["model"], seed=card["seed"]),
            f"{card['dataset']}: {trained.name}",
        )
        tracked.figure(picture, "learning_curves.png")
        tracked.files(trained.folder / HISTORY)
    tracked.model(trained, tokenizer)


def restore(tracker: Tracker, trained: Trained, tokenizer: Path) -> None:
    """Write the run of a model that DVC brought back from a cache, or that was trained while MLflow was away.

    Where it comes from is said only if dvc.lock has just these files, and the tree has all that they were made from.
    """
    stage = BASELINE if trained.history.empty else "train"
    read = locked_dependencies(ModelName.parse(trained.name).stage, trained.folder)
    made_from = read if trained.card["inputs"].items() <= read.items() else {}
    with tracker.run(trained.name, stage, {"restored": "true"}, made_from) as tracked:
        _write(tracked, trained, tokenizer)


def rewrite(tracker: Tracker, runs: Sequence[Trained], tokenizer: Path) -> dict[str, Any]:
    """Write the run of every model again, with the times and the origin that the old run knows.

    Returns:
        Name to the new run; a model that had none is restored.
    """
    with tracker.completing():
        for trained in runs:
            # What a run is asked for may be logged in other words by now.
            old = run_of(tracker, trained) or tracker.find(trained.fingerprint)
            if old is None:
                restore(tracker, trained, tokenizer)
                continue
            with tracker.again(old) as tracked:
                _write(tracked, trained, tokenizer)
    return _runs_of(tracker, runs)


def _write(tracked: TrackedRun, trained: Trained, tokenizer: Path) -> None:
    for numbers in trained.history.reset_index().to_dict("records"):
        epoch = int(numbers.pop("epoch"))
        tracked.epoch(epoch, {str(name): value for name, value in numbers.items()})
    finish(tracked, trained, tokenizer)


def complete(tracker: Tracker, runs: Sequence[Trained], tokenizer: Path) -> dict[str, Any]:
    """Find MLflow's run of every model, and write those that are missing; end those that a killed process left.

    Returns:
        Name to run; empty when MLflow is away, which the tracker has said.
    """
    tracker.end_stale()
    with tracker.completing():
        for trained in runs:
            if run_of(tracker, trained) is None:
                restore(tracker, trained, tokenizer)
    return _runs_of(tracker, runs)


def _runs_of(tracker: Tracker, runs: Sequence[Trained]) -> dict[str, Any]:
    found = {trained.name: run_of(tracker, trained) for trained in runs}
    return {name: run for name, run in found.items() if run is not None}


def run_of(tracker: Tracker, trained: Trained) -> Any:
    """Find MLflow's run of a model: the latest one of this content with the settings of its card. None: there is none.

    This is the one rule, for all that asks for the run of a model. The settings count, because others may give the same
    bytes (more epochs after an early stop), and a run tells how its model was made.
    """
    return tracker.find(trained.fingerprint, run_params(trained.card))


def known_run_of(tracker: Tracker, trained: Trained) -> Any:
    """Find MLflow's run of a model, as `run_of` does.

    Raises:
        InputError: MLflow does not answer, or has none.
    """
    run = run_of(tracker, trained)
    tracker.must_answer()
    if run is None:
        raise InputError(f"MLflow has no run of {trained.folder}; `dvc repro -f -s evaluate` writes it")
    return run


def record_machine(runs: Mapping[str, Any], results: Path) -> None:
    """Write on what the compared models were trained, and the verdict, for whoever has the results from git alone.

    It is no output of DVC, because it is another one on another machine. Where MLflow does not know it of all models,
    because some were restored, the file is left as it is: it may have come with these results.

    Args:
        runs: name to MLflow's run, for every model compared.
        results: the folder with the results.
    """
    known = [environment_of(run) for run in runs.values()]
    if known and all(known):
        names = sorted({name for one in known for name in one})
        machine = {name: " or ".join(sorted({one[name] for one in known if name in one})) for name in names}
        # By this hash, which dvc.lock has too, the file is known to belong to the results.
        verdict = json.loads((results / stamp.VERDICT).read_text(encoding="utf-8"))
        content = {_METRICS: md5(results / _METRICS), **machine, VERDICT_WORDS: " ".join(verdict["sentences"])}
        (results / MACHINE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def record_comparison(
    tracker: Tracker,
    costs: pd.DataFrame,
    run_ids: Mapping[str, str],
    dataset: tuple[str, str],
    reviews: Path,
    results: Path,
    summary: str,
    old: Any = None,
) -> None:
    """Log one run that links every run it compares and holds the summary, the numbers, the plots and the report.

    Few of the numbers are metrics, of which MLflow draws a chart each. The others are in tables.

    Args:
        tracker: the experiment.
        costs: `costs.costs`.
        run_ids: run name to MLflow's id, for every model compared.
        dataset: name and digest of the data.
        reviews: the file with that digest.
        results: the folder with the results and the report.
        summary: Markdown, shown above the run, with links to the runs compared.
        old: the run of the same comparison that this one supersedes, if there is one.
    """
    statistics, memory = (json.loads((results / name).read_text(encoding="utf-8")) for name in _NUMBERS)
    tags = {f"run.{name}": run_id for name, run_id in run_ids.items()}
    metrics = statistics["over_seeds"]
    metric = statistics["metric"]
    scores = {model: values[SCORE_OF[metric]]["mean"] for model, values in metrics.items()}
    differences, majority = statistics["differences"], statistics["majority"]
    name = headline(scores, differences, majority["nothing"] if majority else [])
    with tracker.again(old, tags, name) if old else tracker.run(name, EVALUATE, tags) as tracked:
        tracked.params(_comparison_params(statistics))
        tracked.colour(_NO_MODEL)
        tracked.metrics(_comparison_metrics(scores, TITLES[metric], differences))
        tracked.table(_table_of_models(metrics, costs, memory["metrics"]), _MODELS)
        tracked.table(pd.DataFrame(differences), _DIFFERENCES)
        tracked.dataset(*dataset, reviews, "test")
        tracked.files(results)
        links = ", ".join(tracker.link(name, run_id) for name, run_id in run_ids.items())
        tracked.describe(f"{summary}\n\nRuns compared: {links}.")
        # By which `make report` finds the run of the results on disk. Last: a run that has it is complete.
        tracked.tags({FINGERPRINT.removeprefix("gatewise."): fingerprint(results)})
    tracker.project_params(_comparison_params(statistics))
    tracker.arrange(tracked.run_id)


def _comparison_params(statistics: dict[str, Any]) -> dict[str, Any]:
    """Name what was compared."""
    models = statistics["models"]
    seeds = dict.fromkeys(seed for model in models.values() for seed in model["seeds"])
    settings = {
        f"settings/{name}": ", ".join(f"{setting} {value}" for setting, value in model["settings"].items())
        for name, model in models.items()
    }
    lists = {"models": ", ".join(models), "seeds": ", ".join(map(str, seeds)), "runs": len(statistics["runs"])}
    return {"dataset": statistics["dataset"], **lists, **settings}


def _comparison_metrics(
    scores: Mapping[str, float], metric: str, differences: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Name the scores in the metric that decides, and the difference of the first two models, networks if there are."""
    difference = differences[0]
    # As in GRU − LSTM: the later model less the first one, whichever is better, so that commits have the same metric.
    pair = f"{difference['second']} - {difference['first']}"
    numbers = {f"{VERDICT}{model} {metric}": score for model, score in scores.items()}
    turned = {"mean": "mean", "low": "high", "high": "low"}
    numbers |= {f"{VERDICT}{pair} {name}": -difference[other] for name, other in turned.items()}
    return {name: float(number) for name, number in numbers.items()}


def _table_of_models(
    metrics: Mapping[str, Mapping[str, Any]], costs: pd.DataFrame, memory: Mapping[str, float]
) -> pd.DataFrame:
    """Tabulate all numbers of a comparison, a row per number and a column per model."""
    rows: dict[str, dict[str, float]] = {}

    def put(name: str, model: str, number: float) -> None:
        rows.setdefault(name.strip(), {})[model] = number

    for model, values in metrics.items():
        for name, value in values.items():
            for part, number in value.items() if isinstance(value, dict) else [("", value)]:
                put(f"{TEST}{name} {part}" if part else name, model, number)
    for known, row in costs.select_dtypes("number").iterrows():
        for label, number in row.items():
            put(str(label), str(known), number)
    for name, number in memory.items():
        model, _, rest = name.rpartition("/")[2].partition(" ")
        put(f"memory {rest}", model, number)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("number").reset_index()


def _description(trained: Trained) -> str:
    card = trained.card
    score = f"validation accuracy {card['validation']['accuracy']:.1%}"
    if "best_epoch" in card:
        score += f" at epoch {card['best_epoch']} of {len(trained.history)}"
    seed = f", seed {card['seed']}" if card["seed"] is not None else ""
    return f"{title_of(card['model'])} on **{card['dataset']}**{seed}: {score}."
