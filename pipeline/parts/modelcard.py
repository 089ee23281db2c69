"""The model card: what a model learnt from, how good it was, and what it cannot do, in words that go with it.

The sections are those of Mitchell et al. 2019, https://arxiv.org/abs/1810.03993, as far as they can be known when
the model is logged: the test split is not opened by then.
"""

from typing import Any

from scipy.stats import binomtest
from tabulate import tabulate

from pipeline.parts.trained import BASELINE, Trained

_INTENDED = "Raw text in (`text`), `label` and one probability per class out (`{columns}`)."


def model_card(trained: Trained) -> str:
    """Describe a trained model in Markdown."""
    card = trained.card
    columns = "`, `".join(f"p_{label}" for label in card["labels"])
    facts = {
        "data set": card["dataset"],
        "learnt from": ", ".join(f"{path} (MD5 {digest})" for path, digest in card["inputs"].items()),
        "labels": ", ".join(card["labels"]),
        "settings": ", ".join(f"{name} {value}" for name, value in card["settings"].items()),
        "parameters": f"{card['parameters']:,}",
        "validation accuracy": _accuracy(trained),
    }
    if card["seed"] is not None:
        facts["seed"] = f"{card['seed']}, best epoch {card['best_epoch']} of {len(trained.history)}"
    table = tabulate(facts.items(), headers=["", ""], tablefmt="pipe", disable_numparse=True)
    limits = "\n".join(f"- {limit}" for limit in _limits(card))
    return f"# {title(trained)}\n\n{_INTENDED.format(columns=columns)}\n\n{table}\n\n## Limits\n\n{limits}\n"


def title(trained: Trained) -> str:
    """Kind, data set and seed."""
    seed = f", seed {trained.card['seed']}" if trained.card["seed"] is not None else ""
    return f"{kind(trained)} on {trained.card['dataset']}{seed}"


def kind(trained: Trained) -> str:
    """What people call it."""
    return "N-gram baseline" if trained.model == BASELINE else trained.model.upper()


def _accuracy(trained: Trained) -> str:
    """With Wilson's interval (1927, JASA 22:209), which counts the texts as independent of each other."""
    accuracy = trained.card["validation"]["accuracy"]
    texts = len(trained.predictions["validation"])
    interval = binomtest(round(accuracy * texts), texts).proportion_ci(method="wilson")
    return f"{accuracy:.1%} (95 % interval {interval.low:.1%} to {interval.high:.1%}, {texts:,} texts)"


def _limits(card: dict[str, Any]) -> list[str]:
    limits = [
        f"How good it is, is known for texts like those of {card['dataset']}, and for no others.",
        "It answers whatever it is given, with one of its labels: also a text in another language, or none at all.",
        "The validation texts had a say in choosing it, so their score is a little too high; the test scores stand on "
        "the model's run in MLflow once `evaluate` has run.",
        "The interval covers the choice of the validation texts alone: another seed gives another model.",
    ]
    settings = card["settings"]
    if card["model"] == BASELINE:
        return [*limits[:3], f"It sees runs of up to {settings['ngrams']} words, and no order beyond that."]
    end = "first" if settings["keep"] == "head" else "last"
    read = f"Of a longer text it reads the {end} {settings['max_tokens']} tokens; it knows {settings['vocabulary']:,}."
    return [*limits, read]
