"""Two commits or experiments side by side, in the same report: what `make compare A=HEAD~1 B=HEAD` does.

    python -m pipeline.tools.compare HEAD~1          # a commit against the files as they are
    python -m pipeline.tools.compare main small-gru  # a branch and an experiment of `dvc exp run`

Both must have been tested on the same texts. Their files come from DVC's cache or its remote; nothing is trained, and
nothing that lies in data/ changes but data/compare/, where the report goes.
"""

import argparse
import json
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc_data.index import DataIndexError
from scmrepo.exceptions import SCMError

from pipeline.parts.command import InputError, run
from pipeline.parts.comparison import Comparison, compare
from pipeline.parts.costs import costs, for_verdict
from pipeline.parts.datasets import read_groups, read_split
from pipeline.parts.freshness import REPORT
from pipeline.parts.lineage import commit, environment, md5, project_root, state
from pipeline.parts.params import PARAMS_FILE, read_params
from pipeline.parts.report import Provenance, origin_of, summary, write_page
from pipeline.parts.results import Differences, write_results
from pipeline.parts.statistics import holm, paired_difference
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import BASELINE, Trained
from pipeline.parts.verdict import Told, seed_warning, verdict

WORKSPACE = "workspace"
MODELS, DATA, COMPARED = Path("data/models"), Path("data/processed"), Path("data/compare")
_DATA_FILES = ("reviews.parquet", "test_labels.npy", "data.json", "tokens.npz")


@dataclass(frozen=True)
class Side:
    """One of the two revisions.

    Attributes:
        revision: what the user called it.
        dataset: the data set selected there.
        data: the folder with its data.
        models: its trained models.
        commit: what git has under that name.
    """

    revision: str
    dataset: str
    data: Path
    models: list[Trained]
    commit: str


def read_side(revision: str, folder: Path) -> Side:
    """Bring the files of a revision into an empty folder, or take them where they lie.

    Raises:
        InputError: there is no such revision, or its files cannot be had.
    """
    root = project_root() if revision == WORKSPACE else folder
    if revision != WORKSPACE:
        _fetch(revision, folder)
    params = read_params(root / PARAMS_FILE)
    names = [*params.networks, BASELINE]
    if revision != WORKSPACE:
        _fetch(revision, folder, *(f"{MODELS}/{name}" for name in names), *(f"{DATA}/{name}" for name in _DATA_FILES))
    trained = [Trained.load(root / MODELS / name) for name in names]
    head = state() if revision == WORKSPACE else str(commit(revision))
    return Side(revision, params.dataset, root / DATA, trained, head)


def _fetch(revision: str, folder: Path, *paths: str) -> None:
    """Copy files or folders of a revision; without paths, its params.yaml."""
    try:
        files = DVCFileSystem(str(project_root()), rev=revision)
        for path in paths or [str(PARAMS_FILE)]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.get(path, str(folder / path), recursive=files.isdir(path))
    except (SCMError, DvcException) as error:
        raise InputError(f"{revision!r} is no commit, branch, tag or experiment: {error}") from None
    except (FileNotFoundError, DataIndexError):
        raise InputError(
            f"{path} of {revision} is neither in DVC's cache nor at its remote;"
            f" bring it back with: git checkout {revision} && make repro"
        ) from None


def check_same_test(first: Side, second: Side) -> None:
    """Make sure that both were tested on the same texts.

    Raises:
        InputError: they were not.
    """
    if first.dataset != second.dataset:
        raise InputError(f"{first.revision} is about {first.dataset}, {second.revision} about {second.dataset}")
    texts = [pd.concat(read_split(side.data / "reviews.parquet", "test", ["text"]))["text"] for side in (first, second)]
    labels = [np.load(side.data / "test_labels.npy") for side in (first, second)]
    if texts[0].tolist() != texts[1].tolist() or not np.array_equal(*labels):
        raise InputError(
            f"{first.revision} and {second.revision} were tested on different texts ({len(texts[0]):,} and"
            f" {len(texts[1]):,}), so their scores cannot be compared"
        )


def side_by_side(first: Side, second: Side) -> tuple[list[Trained], dict[str, str]]:
    """The models of both, those that differ called `lstm (A)` and `lstm (B)`.

    Returns:
        The models, and the name of each to its fingerprint.
    """
    kinds: list[dict[str, list[str]]] = [{model.model: [] for model in side.models} for side in (first, second)]
    for side, of_side in zip((first, second), kinds, strict=True):
        for model in side.models:
            of_side[model.model].append(model.fingerprint)
    models, fingerprints = [], {}
    for letter, side in (("A", first), ("B", second)):
        for model in side.models:
            same = kinds[0].get(model.model) == kinds[1].get(model.model)
            if same and letter == "B":
                continue
            called = "" if same else f" ({letter})"
            card = {**model.card, "model": f"{model.model}{called}"}
            models.append(replace(model, folder=Path(f"{model.name}{called}"), card=card))
            fingerprints[models[-1].name] = model.fingerprint
    order = [*dict.fromkeys(model.model for side in (first, second) for model in side.models)]
    return sorted(models, key=lambda model: (order.index(kind_of(model.model)), model.model)), fingerprints


def kind_of(model: str) -> str:
    """`lstm` of `lstm (A)`."""
    return model.partition(" ")[0]


def differences_of(comparison: Comparison) -> Differences:
    """Of every kind of model, B against A.

    Raises:
        InputError: no model differs.
    """
    correct = comparison.correct()
    pairs = [(f"{kind} (B)", f"{kind} (A)") for kind in dict.fromkeys(map(kind_of, correct))]
    found = {
        (second, first): paired_difference(correct[second], correct[first], comparison.groups)
        for second, first in pairs
        if {second, first} <= set(correct)
    }
    if not found:
        raise InputError("both sides have the same models: there is nothing to compare")
    return found


def words_of(sides: str, dataset: str, differences: Differences, table: pd.DataFrame) -> Told:
    """One verdict per network, for all of which the p-values are adjusted, and the warnings."""
    adjusted = holm([difference.p_value for difference in differences.values()])
    networks = {
        pair: replace(difference, p_value=p_value)
        for (pair, difference), p_value in zip(differences.items(), adjusted, strict=True)
        if kind_of(pair[0]) != BASELINE
    }
    told = [verdict(dataset, {pair: seen}, costs=for_verdict(table)) for pair, seen in networks.items()]
    return Told([sides, *told], seed_warning(networks))


def compare_revisions(first: Side, second: Side, tracker: Tracker, output: Path) -> str:
    """Write the results and the report of A against B into a folder.

    Returns:
        The summary in Markdown.
    """
    check_same_test(first, second)
    models, fingerprints = side_by_side(first, second)
    labels = np.load(second.data / "test_labels.npy")
    data = json.loads((second.data / "data.json").read_text(encoding="utf-8"))
    comparison = compare(models, labels, data["labels"], read_groups(second.data / "reviews.parquet"))
    differences = differences_of(comparison)
    runs = {name: tracker.find(fingerprint) for name, fingerprint in fingerprints.items()}
    table = costs(models, {name: run.data.metrics for name, run in runs.items() if run})
    told = words_of(f"A is {first.revision}, B is {second.revision}.", second.dataset, differences, table)
    write_results(comparison, fingerprints, differences, told, {}, second.dataset, second.data, output)
    provenance = Provenance(
        second.dataset,
        md5(second.data / "reviews.parquet"),
        f"A: {first.commit}; B: {second.commit}",
        data,
        {name: origin_of(tracker.record_of(run)) for name, run in runs.items() if run},
        environment(),
    )
    write_page(output, told, table, provenance)
    return summary(output, told)


def main() -> None:
    parser = argparse.ArgumentParser(description="Two commits or experiments side by side.")
    parser.add_argument("first", help="A: a commit, branch, tag or experiment")
    parser.add_argument("second", nargs="?", default=WORKSPACE, help="B (default: the files as they are)")
    arguments = parser.parse_args()
    names = [re.sub(r"[^\w.-]+", "_", name) for name in (arguments.first, arguments.second)]
    output = COMPARED / "..".join(names)
    with tempfile.TemporaryDirectory() as folder:
        first = read_side(arguments.first, Path(folder) / "A")
        second = read_side(arguments.second, Path(folder) / "B")
        print(compare_revisions(first, second, Tracker(second.dataset), output))
    print(f"\nreport: {output / REPORT}")


if __name__ == "__main__":
    run(main)
