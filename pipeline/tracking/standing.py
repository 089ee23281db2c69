"""Tell which runs of an experiment still stand beside the latest comparison, and which are in the way.

MLflow's table has no view of "the latest": what its views are to leave out carries a tag.
"""

from collections.abc import Mapping, Sequence

from mlflow.entities import Run

from pipeline.tracking.run_record import EVALUATE, SUPERSEDED, name_of
from pipeline.tracking.store import EARLIER, OUTDATED

_STAGE, _LINK = "gatewise.stage", "gatewise.run."
_GONE = "superseded"


def standing(runs: Sequence[Run], latest: str) -> dict[str, dict[str, str]]:
    """Give every run of the pipeline the tags that say how it stands; one that stands has none.

    Args:
        runs: all runs of the experiment, the latest first.
        latest: the id of the comparison that counts.

    Returns:
        Run id to the values of `EARLIER` and `OUTDATED`.
    """
    ours = [run for run in runs if _STAGE in run.data.tags]
    comparisons = [run for run in ours if run.data.tags[_STAGE] == EVALUATE]
    linked = {run.info.run_id: _linked(run.data.tags) for run in comparisons}
    current = {latest, *linked.get(latest, ())}
    compared = {run_id for ids in linked.values() for run_id in ids} | linked.keys()
    taken = {_key(run) for run in ours if run.info.run_id in current}
    found: dict[str, dict[str, str]] = {}
    for run in ours:
        tags: dict[str, str] = {}
        if SUPERSEDED in run.data.tags:
            tags = {OUTDATED: _GONE}
        elif run.info.run_id not in current and run.info.status not in ("RUNNING", "SCHEDULED"):
            if run.info.status != "FINISHED":
                tags = {OUTDATED: "not finished"}
            elif run.info.run_id not in compared:
                tags = {OUTDATED: "not compared"}
            else:
                tags = {OUTDATED: _GONE} if _key(run) in taken else {EARLIER: "true"}
                taken.add(_key(run))
        found[run.info.run_id] = tags
    return found


def counting(runs: Sequence[Run], but: str) -> str | None:
    """Find the comparison that counts beside a given one: the latest that is finished and has no tag. None: no other.

    Args:
        runs: all runs of the experiment, the latest first.
        but: the id of the given one.
    """
    others = (run for run in runs if run.data.tags.get(_STAGE) == EVALUATE and run.info.run_id != but)
    standing_ones = (run for run in others if {EARLIER, OUTDATED, SUPERSEDED}.isdisjoint(run.data.tags))
    return next((str(run.info.run_id) for run in standing_ones if run.info.status == "FINISHED"), None)


def differing(runs: Sequence[Run]) -> list[str]:
    """List the parameters in which runs of models differ, less those that every table shows."""
    values: dict[str, set[str]] = {}
    for run in runs:
        if run.data.tags.get(_STAGE) not in (None, EVALUATE):
            for name, value in run.data.params.items():
                values.setdefault(name, set()).add(value)
    return sorted(name for name, known in values.items() if len(known) > 1 and name not in ("model", "seed"))


def _linked(tags: Mapping[str, str]) -> set[str]:
    return {value for name, value in tags.items() if name.startswith(_LINK)}


def _key(run: Run) -> tuple[object, ...]:
    """Tell runs apart that were asked for different things."""
    used = run.inputs.dataset_inputs if run.inputs else []
    digests = tuple(sorted(one.dataset.digest for one in used))
    return name_of(run), digests, run.data.tags.get("gatewise.differs"), frozenset(run.data.params.items())
