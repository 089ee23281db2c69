"""Write the model card: what a model learnt from, how good it was, and what it cannot do.

The sections are those of Mitchell et al. 2019, https://arxiv.org/abs/1810.03993. When a model is logged, the test split
is not opened yet: its score comes onto the card once the model meets the gate (`make promote`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest
from tabulate import tabulate

from pipeline.comparison.titles import title_of
from pipeline.core.folders import SOURCES
from pipeline.core.params import read_yaml
from pipeline.corpus.sources import SOURCE_FILE
from pipeline.packaging.training_data import label_counts
from pipeline.tokens.clipping import ends, read_ends
from pipeline.trained.trained import BASELINE, Trained

_INTENDED = "Raw text in (`text`), `label` and one probability per class out (`{columns}`)."


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers.

    Attributes:
        value: 0 to 1.
        low: lower end of the 95 % interval.
        high: upper end.
        texts: how many there are.
    """

    value: float
    low: float
    high: float
    texts: int

    def __str__(self) -> str:
        return f"{self.value:.1%} (95 % interval {self.low:.1%} to {self.high:.1%}, {self.texts:,} texts)"


def model_card(trained: Trained, test: Accuracy | None = None) -> str:
    """Describe a trained model in Markdown.

    Args:
        trained: the files of the model.
        test: how good it was on the test texts, where that is known.
    """
    card = trained.card
    columns = "`, `".join(f"p_{label}" for label in card["labels"])
    facts = {
        "data set": card["dataset"],
        "source": _source(card["dataset"]),
        **{f"{split} texts": _counted(counts) for split, counts in label_counts(trained).items()},
        "learnt from": ", ".join(f"{path} (MD5 {digest})" for path, digest in card["inputs"].items()),
        "labels": ", ".join(card["labels"]),
        "settings": ", ".join(f"{name} {value}" for name, value in card["settings"].items()),
        "parameters": f"{card['parameters']:,}",
        "validation accuracy": str(_validation(trained)),
    }
    if test is not None:
        facts["test accuracy"] = str(test)
    if card["seed"] is not None:
        facts["seed"] = f"{card['seed']}, best epoch {card['best_epoch']} of {len(trained.history)}"
    table = tabulate(facts.items(), headers=["", ""], tablefmt="pipe", disable_numparse=True)
    limits = "\n".join(f"- {limit}" for limit in _limits(card, test is not None))
    return f"# {title(trained)}\n\n{_INTENDED.format(columns=columns)}\n\n{table}\n\n## Limits\n\n{limits}\n"


def title(trained: Trained) -> str:
    """Name kind, data set and seed of a model."""
    seed = f", seed {trained.card['seed']}" if trained.card["seed"] is not None else ""
    return f"{kind(trained)} on {trained.card['dataset']}{seed}"


def kind(trained: Trained) -> str:
    """Give the title of the model, as a heading begins with it."""
    name = title_of(trained.model)
    return f"{name[0].upper()}{name[1:]}"


def _source(dataset: str) -> str:
    """Name where the texts come from: the address in the description of the data set, or the folder with its files."""
    folder = Path(SOURCES, dataset)
    description = folder / SOURCE_FILE
    content = read_yaml(description) if description.is_file() else {}
    return str(content.get("url") or content.get("wheel") or folder.as_posix())


def _counted(counts: dict[str, int]) -> str:
    texts = sum(counts.values())
    shares = ", ".join(f"{label} {count:,} ({count / texts:.0%})" for label, count in counts.items())
    return f"{texts:,}: {shares}"


def _validation(trained: Trained) -> Accuracy:
    """Give the validation accuracy with Wilson's interval (1927, JASA 22:209), which takes texts as independent."""
    accuracy = trained.card["validation"]["accuracy"]
    texts = len(trained.predictions["validation"])
    interval = binomtest(round(accuracy * texts), texts).proportion_ci(method="wilson")
    return Accuracy(accuracy, interval.low, interval.high, texts)


def _limits(card: dict[str, Any], tested: bool) -> list[str]:
    where = "the test accuracy above had none" if tested else "the run in MLflow has test scores after `evaluate`"
    limits = [
        f"How good it is, is known for texts like those of {card['dataset']}, and for no others.",
        "It answers whatever it is given, with one of its labels: also a text in another language, or none at all.",
        f"The validation texts had a say in choosing it, so their score is a little too high; {where}.",
        "The interval of the validation accuracy takes the texts for independent of each other. Where several are "
        "about one thing, such as reviews of one film, it is too narrow.",
    ]
    if tested:
        limits.append("The interval of the test accuracy draws whole groups of texts, such as all reviews of one film.")
    settings = card["settings"]
    if card["model"] == BASELINE:
        return [*limits, f"It sees runs of up to {settings['ngrams']} words, and no order beyond that."]
    read = read_ends(*ends(settings["max_tokens"], settings["keep"]))
    pieces = f", in pieces of {settings['segment']} from an empty state each" if settings.get("segment") else ""
    return [
        *limits,
        "The intervals cover the choice of the texts alone: another seed gives another model.",
        f"Of a longer text it reads the {read} tokens{pieces}; it knows {settings['vocabulary']:,}.",
    ]
