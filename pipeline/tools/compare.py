"""Two commits or experiments side by side, in the same report: what `make compare A=HEAD~1 B=HEAD` does.

    python -m pipeline.tools.compare HEAD~1          # a commit against the files as they are
    python -m pipeline.tools.compare main small-gru  # a branch and an experiment of `dvc exp run`

Both must have been tested on the same texts. Their files come from DVC's cache or its remote; nothing is trained, and
nothing that lies in data/ changes but data/compare/, where the report goes. Where the files of a side are nowhere, the
numbers that git has stand side by side, without an interval.
"""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import resolve_rev
from dvc_data.index import DataIndexError
from scmrepo.exceptions import SCMError
from tabulate import tabulate

from pipeline.comparison.comparison import Findings, compare
from pipeline.comparison.costs import recurrent_sizes
from pipeline.comparison.majority import majority_of
from pipeline.comparison.titles import listed, title_of
from pipeline.comparison.verdict import (
    Verdict,
    class_warnings,
    epoch_warnings,
    strength_warnings,
    verdict,
    warnings,
    without_learning,
)
from pipeline.core.command import InputError, run
from pipeline.core.folders import project_root
from pipeline.core.hashes import md5
from pipeline.core.params import PARAMS_FILE, Metric, read_yaml
from pipeline.corpus.reviews import read_groups, read_split
from pipeline.reporting.report import Provenance, write_page
from pipeline.reporting.results import write_results
from pipeline.reporting.stamp import REPORT
from pipeline.tools.arguments import Tool
from pipeline.tracking.committed import Recorded
from pipeline.tracking.git import state, state_of
from pipeline.tracking.machine import environment
from pipeline.tracking.paths import DESCRIPTION, METRICS, MODELS, PROCESSED, REVIEWS, TEST_LABELS, TOKENS
from pipeline.tracking.publishing import known_costs, origin_of, summary_with_times
from pipeline.tracking.record import run_of
from pipeline.tracking.revisions import RecordedParams
from pipeline.tracking.tracker import Tracker
from pipeline.trained.names import SIDES, ModelName, kind_of
from pipeline.trained.trained import BASELINE, Trained

WORKSPACE = "workspace"
COMPARED = Path("data/compare")  # the report; no stage knows it
# Results that other processors made have hashes that never arise here, so what is made here needs a name of its own.
_TO_HAVE_BOTH = """\
For an interval, make {name} here, and compare with that. Commit your changes first:
  git checkout {commit}; make repro
  git commit --allow-empty -am "{name}, made here"; git tag made-here; git checkout -
  gatewise compare made-here"""
_DATA_FILES = (REVIEWS, TEST_LABELS, DESCRIPTION, TOKENS)


class FilesMissingError(InputError):
    """Files of a revision are neither in DVC's cache nor at its remote.

    Attributes:
        revision: whose files.
    """

    def __init__(self, path: Path, revision: str) -> None:
        super().__init__(f"{path} of {revision} is neither in DVC's cache nor at its remote")
        self.revision = revision


@dataclass(frozen=True)
class Side:
    """One of the two revisions.

    Attributes:
        revision: what the user called it.
        dataset: the data set selected there.
        data: the folder with its data.
        models: its trained models.
        commit: what git has under that name, in the words of `git.state_of`.
    """

    revision: str
    dataset: str
    data: Path
    models: list[Trained]
    commit: str


def read_side(revision: str, folder: Path) -> Side:
    """Bring the files of a revision into an empty folder, or take them where they lie.

    Raises:
        FilesMissingError: its files cannot be had.
        InputError: there is no such revision.
    """
    root = project_root() if revision == WORKSPACE else folder
    if revision != WORKSPACE:
        _fetch(revision, folder, PARAMS_FILE)
    params = RecordedParams.read(root / PARAMS_FILE, revision)
    models = [MODELS / name for name in (*params.networks, BASELINE)]
    if revision != WORKSPACE:
        _fetch(revision, folder, *models, *_DATA_FILES)
    trained = [Trained.load(root / model) for model in models]
    return Side(revision, params.dataset, root / PROCESSED, trained, _commit(revision))


def _commit(revision: str) -> str:
    """Describe the commit of a revision, or of an experiment, whose name is DVC's and not git's."""
    return state() if revision == WORKSPACE else state_of(_resolved(revision), dirty=False, left_out="")


def _resolved(revision: str) -> str:
    try:
        with Repo(str(project_root())) as repository:
            return str(resolve_rev(repository.scm, revision))
    except (SCMError, DvcException) as error:
        raise InputError(f"{revision!r} is no commit, branch, tag or experiment: {error}") from None


def _fetch(revision: str, folder: Path, *paths: Path) -> None:
    """Copy files or folders of a revision into a folder."""
    try:
        files = DVCFileSystem(str(project_root()), rev=revision)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.get(path.as_posix(), str(folder / path), recursive=files.isdir(path.as_posix()))
    except (SCMError, DvcException) as error:
        raise InputError(f"{revision!r} is no commit, branch, tag or experiment: {error}") from None
    except AttributeError:  # git knows it, and it is a file or a folder: DVC wants a commit
        raise InputError(f"{revision!r} is no commit, branch, tag or experiment") from None
    except (FileNotFoundError, DataIndexError):
        raise FilesMissingError(path, revision) from None


def check_same_test(first: Side, second: Side) -> None:
    """Make sure that both were tested on the same texts.

    Raises:
        InputError: they were not.
    """
    if first.dataset != second.dataset:
        raise InputError(
            f"both sides must have the same data set. Received: {first.dataset} ({first.revision}),"
            f" {second.dataset} ({second.revision})"
        )
    names = [", ".join(read_data(side)["labels"]) for side in (first, second)]
    if names[0] != names[1]:
        raise InputError(
            f"both sides must have the same labels in the same order. Received: {names[0]} ({first.revision});"
            f" {names[1]} ({second.revision})"
        )
    texts = [pd.concat(read_split(side.data / "reviews.parquet", "test", ["text"]))["text"] for side in (first, second)]
    labels = [np.load(side.data / "test_labels.npy") for side in (first, second)]
    if texts[0].tolist() != texts[1].tolist() or not np.array_equal(*labels):
        raise InputError(
            f"{first.revision} and {second.revision} were tested on different texts ({len(texts[0]):,} and"
            f" {len(texts[1]):,}), so their scores cannot be compared"
        )


def side_by_side(first: Side, second: Side) -> tuple[list[Trained], dict[str, Trained]]:
    """Put the models of both sides together, those that differ called `lstm (A)` and `lstm (B)`.

    Returns:
        The models under these names, and each name to the model as its files have it.
    """
    kinds: list[dict[str, list[str]]] = [{model.model: [] for model in side.models} for side in (first, second)]
    for side, of_side in zip((first, second), kinds, strict=True):
        for model in side.models:
            of_side[model.model].append(model.fingerprint)
    models, originals = [], {}
    for letter, side in zip(SIDES, (first, second), strict=True):
        for model in side.models:
            same = sorted(kinds[0].get(model.model, [])) == sorted(kinds[1].get(model.model, []))
            if same and letter == "B":
                continue
            side_of = "" if same else letter
            card = {**model.card, "model": str(ModelName(model.model, side=side_of))}
            name = replace(ModelName.parse(model.name), side=side_of)
            models.append(replace(model, folder=Path(str(name)), card=card))
            originals[models[-1].name] = model
    order = [*dict.fromkeys(model.model for side in (first, second) for model in side.models)]
    return sorted(models, key=lambda model: (order.index(kind_of(model.model)), model.model)), originals


def pairs_of(models: Sequence[str]) -> list[tuple[str, str]]:
    """Pair B with A for every kind of model that differs; where no network is on both sides, each with each other.

    Raises:
        InputError: there are none.
    """
    first, second = ([model for model in models if ModelName.parse(model).side == letter] for letter in SIDES)
    pairs = [(b, a) for b in second for a in first if kind_of(a) == kind_of(b)]
    common = {kind_of(b) for b, _ in pairs} | {model for model in models if model not in (*first, *second)}
    if common <= {BASELINE}:
        pairs = [(b, a) for b in second for a in first if BASELINE not in (kind_of(a), kind_of(b))] + pairs
    if not pairs:
        same = listed([title_of(model) for model in models if model in common])
        alone = [f"; {title_of(model)} is on one side alone" for model in (*first, *second)]
        raise InputError(f"there is nothing to compare: both sides have the same {same}{''.join(alone)}")
    return pairs


def without_same_models(
    pairs: Sequence[tuple[str, str]], models: Sequence[Trained], fingerprints: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Leave out the pairs that are one model with other seeds: same settings, and equal networks for equal seeds.

    Args:
        pairs: of `pairs_of`.
        models: the models of both sides.
        fingerprints: of each, by its name.

    Returns:
        The pairs that are left, and the notes about runs that are on both sides.

    Raises:
        InputError: none is left.
    """
    kept, notes = [], []
    for b, a in pairs:
        runs = {model: {fingerprints[run.name]: run for run in models if run.model == model} for model in (a, b)}
        seeds = sorted(run.card["seed"] for shared, run in runs[b].items() if shared in runs[a])
        settings = {str(run.card["settings"]) for of_model in runs.values() for run in of_model.values()}
        named = f"seed{'s' * (len(seeds) > 1)} {listed([str(seed) for seed in seeds])}" if seeds else ""
        if seeds and len(settings) == 1:
            notes.append(f"{title_of(a)} and {title_of(b)} are one model with other seeds, so they are not compared:"
                         f" {named} gave the same network, with the same settings.")  # fmt: skip
            continue
        kept.append((b, a))
        if seeds:
            notes.append(f"{title_of(a)} and {title_of(b)} share the runs of {named}. The interval assumes that all"
                         " runs are independent, so it is wider than necessary.")  # fmt: skip
    if not kept:
        raise InputError(f"there is nothing to compare: {' '.join(notes).removesuffix('.')}")
    return kept, notes


def told_of(sides: str, dataset: str, findings: Findings, sizes: Mapping[str, int], notes: list[str]) -> Verdict:
    """Write a verdict per pair, with p-values corrected for all of them, and the warnings."""
    differences, nothing, metric = findings.differences, findings.nothing, findings.metric
    verdicts = [
        verdict(dataset, {pair: of_pair}, sizes, differences, nothing, metric) for pair, of_pair in differences.items()
    ]
    sentences = [sides, *without_learning(dataset, findings.majority), *filter(None, verdicts)]
    weak = [*warnings(differences), *class_warnings(findings), *epoch_warnings(findings.unfinished)]
    return Verdict(sentences, [*notes, *weak, *strength_warnings(findings.at_edge)])


def read_data(side: Side) -> dict[str, Any]:
    """Read data.json of one side."""
    content: dict[str, Any] = json.loads((side.data / "data.json").read_text(encoding="utf-8"))
    return content


def data_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Merge data.json of both sides, what differs called `train (A)` and `train (B)`."""
    return {
        **second,
        "splits": _both(first["splits"], second["splits"]),
        "settings": _both(first.get("settings", {}), second.get("settings", {})),
    }


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    content = {}
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) == second.get(name):
            content[name] = first[name]
        else:
            content |= {f"{name} ({k})": side[name] for k, side in (("A", first), ("B", second)) if name in side}
    return content


def compare_revisions(first: Side, second: Side, tracker: Tracker, output: Path, metric: Metric) -> str:
    """Write the results and the report of A against B into a folder.

    Returns:
        The summary in Markdown.
    """
    check_same_test(first, second)
    models, originals = side_by_side(first, second)
    fingerprints = {name: model.fingerprint for name, model in originals.items()}
    labels = np.load(second.data / "test_labels.npy")
    data, majority = data_of(read_data(first), read_data(second)), majority_of(read_data(second))
    groups = read_groups(second.data / "reviews.parquet")
    comparison = compare(models, labels, data["labels"], groups, metric, majority)
    pairs, notes = without_same_models(pairs_of(list(comparison.by_model())), models, fingerprints)
    findings = Findings.of(comparison, pairs)
    runs = {name: run for name, model in originals.items() if (run := run_of(tracker, model))}
    table, times = known_costs(models, runs)
    sides = f"A is {first.revision}, B is {second.revision}."
    told = told_of(sides, second.dataset, findings, recurrent_sizes(models), notes)
    origin = second.dataset, second.data
    write_results(comparison, fingerprints, findings, told, {}, *origin, output, data["settings"])
    provenance = Provenance(
        second.dataset,
        "; ".join(dict.fromkeys(md5(side.data / "reviews.parquet") for side in (first, second))),
        f"A: {first.commit}; B: {second.commit}",
        data,
        {name: origin_of(tracker.record_of(run)) for name, run in runs.items()},
        environment(),
    )
    write_page(output, times, table, provenance)
    return summary_with_times(output, times)


def compare_records(a: str, b: str, missing: FilesMissingError) -> str:
    """Set the numbers that git has of A and B side by side, in Markdown.

    Args:
        a: a revision.
        b: another one, or `WORKSPACE`.
        missing: the reason.

    Raises:
        InputError: git lacks the results of a side, they are of another test split, or both are the same.
    """
    sides = {name: Recorded.read(None if name == WORKSPACE else _resolved(name)) for name in (a, b)}
    first, second = sides[a], sides[b]
    if first is None or second is None:
        lacking = listed([name for name, side in sides.items() if side is None])
        raise InputError(f"{missing}; and git has no results of {lacking} (dvc.lock, {METRICS})")
    if first.test != second.test:
        raise InputError(
            f"{missing}; and both sides must have the same data set and test texts."
            f" Received: {first.dataset} ({a}), {second.dataset} ({b})"
        )
    if first.models == second.models:
        raise InputError(f"there is nothing to compare: {a} and {b} have the same models")
    rows = [
        (name, f"{first.metrics[name]:.4f}", f"{number:.4f}", f"{number - first.metrics[name]:+.4f}")
        for name, number in second.metrics.items()
        if name in first.metrics
    ]
    table = tabulate(rows, headers=["", "A", "B", "B - A"], tablefmt="pipe", stralign="right", disable_numparse=True)
    machine = (first if missing.revision == a else second).machine
    made_on = machine.get("cpu", "a processor that git does not name")
    reason = f"{missing}. They were made on {made_on}. From the numbers in git, no interval can be computed."
    advice = _TO_HAVE_BOTH.format(name=missing.revision, commit=_resolved(missing.revision)[:12])
    return "\n\n".join([f"A is {a}, B is {b}.", table, reason, advice])


def metric_here() -> Metric:
    """Read from params.yaml by what models are compared; accuracy where the file has another form, as old ones have."""
    metric: Metric = "macro_f1" if read_yaml(PARAMS_FILE).get("metric") == "macro_f1" else "accuracy"
    return metric


@click.command(cls=Tool)
@click.argument("a")
@click.argument("b", default=WORKSPACE)
def main(a: str, b: str) -> None:
    """Set A and B side by side: two commits, branches, tags or experiments of `dvc exp run`.

    Without B, A is compared with the files as they are. Nothing is trained, and only data/compare changes. Where the
    predictions of a side are neither in DVC's cache nor at its remote, the numbers in git stand side by side.

    \b
    Examples:
      gatewise compare HEAD~1
      gatewise compare main small-gru
    """
    names = [re.sub(r"[^\w.-]+", "_", name) for name in (a, b)]
    output = COMPARED / "..".join(names)
    try:
        with tempfile.TemporaryDirectory() as folder:
            first = read_side(a, Path(folder) / "A")
            second = read_side(b, Path(folder) / "B")
            print(compare_revisions(first, second, Tracker(second.dataset), output, metric_here()))
    except FilesMissingError as problem:
        print(compare_records(a, b, problem))
    else:
        print(f"\nreport: {output / REPORT}")


if __name__ == "__main__":
    run(main)
