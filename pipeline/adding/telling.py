"""Say in a few lines what the files are like, what was chosen and why."""

import textwrap
from collections.abc import Mapping
from typing import Any

from pipeline.adding.dialects import NAMES
from pipeline.adding.looking import Look
from pipeline.adding.portraits import shares
from pipeline.adding.settings import Fitted
from pipeline.core.text import counted
from pipeline.corpus.lines import ending_of
from pipeline.corpus.names import SPLITS
from pipeline.corpus.problems import shortened
from pipeline.corpus.tables import SEPARATED_ENDINGS

_WIDTH = 100
_INDENT = 14
_CLASSES = 12
_BAD_ROWS = 5
_FEW_TEST_TEXTS = 5
_FORMATS = {
    ".csv": "CSV", ".tsv": "TSV", ".json": "JSON", ".jsonl": "JSON Lines", ".ndjson": "JSON Lines",
    ".parquet": "Parquet", ".arrow": "Arrow", ".xlsx": "Excel", ".xlsm": "Excel",
}  # fmt: skip


def description(name: str, seen: Look, fitted: Fitted, values: Mapping[str, Any], stops: str | None) -> str:
    """Describe a data set, one thing a line.

    Args:
        name: of the data set.
        seen: what was seen of the files.
        fitted: what its texts are in tokens.
        values: its settings.
        stops: what stops a run, if anything does.
    """
    dialect = _dialect(seen)
    told = [
        ("files", _files(seen)),
        *([("written in", dialect)] if dialect else []),
        *_columns(seen),
        ("classes", _classes(seen)),
        ("first text", _first(seen)),
        ("words", _words(seen, fitted)),
        ("length", _lengths(fitted)),
        ("repeats", _repeats(seen)),
        ("split", _split(seen, values)),
        *_set_aside(seen),
        *(("note", note) for note in [*seen.notes, *_rare(seen, values)]),
        ("settings", ", ".join(f"{key} {value}" for key, value in values.items())),
    ]
    if stops:
        told.append(("warning", f"a run will stop: {stops}"))
    lines = [f"{name}: {counted(seen.portrait.rows, 'text')} with a label"]
    for key, text in told:
        for number, line in enumerate(text.split("\n")):
            lines += _wrapped(key if number == 0 else "", line)
    return "\n".join(lines)


def duration(minutes: float) -> str:
    """Say a rough time."""
    if minutes < 90:
        return f"about {max(1, round(minutes))} minute{'s' if round(minutes) > 1 else ''}"
    return f"about {round(minutes / 60)} hours"


def _wrapped(key: str, text: str) -> list[str]:
    begin = f"  {key:<{_INDENT - 2}}"
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=begin,
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [begin.rstrip()]


def _files(seen: Look) -> str:
    found = seen.found
    size = sum(path.stat().st_size for path in found.files)
    kinds = sorted({_FORMATS[ending_of(path)] for path in found.tables})
    if found.lines:
        kinds.append("a file per label, a text a line")
    if found.texts:
        kinds.append("a file per text without a label" if found.tables else "a file per text, in a folder per label")
    first = seen.files.original(found.files[0])
    number = len(found.files)
    named = str(first) if number == 1 else f"{number:,} files, the first {first}"
    return f"{named} ({'; '.join(kinds)}; {_size(size)})"


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def _dialect(seen: Look) -> str:
    source, why = seen.source, seen.why
    parts = []
    if "encoding" in source:
        parts.append(f"{source['encoding']}{_because(why.get('encoding'))}")
    if "quote" in source and any(ending_of(path) in SEPARATED_ENDINGS for path in seen.found.tables):
        delimiter = source.get("delimiter")
        parts.append(f"{NAMES.get(delimiter, repr(delimiter))} between fields")
        quote = source["quote"]
        parts.append(f"{'quotes are letters' if quote == 'none' else f'quote {quote}'}{_because(why.get('quote'))}")
    if source.get("sheet"):
        parts.append(f"the sheet {source['sheet']!r}{_because(why.get('sheet'))}")
    if "header" in source and seen.found.tables:
        header = "first row names the columns" if source["header"] else "no header: columns are called 1, 2, 3 …"
        parts.append(f"{header}{_because(why.get('header'))}")
    return ", ".join(parts)


def _because(why: str | None) -> str:
    return f" ({why})" if why else ""


def _columns(seen: Look) -> list[tuple[str, str]]:
    if not seen.found.tables:
        less = ", less the split" if seen.found.with_splits else ""
        return [("label", f"the names of the folders{less}" if seen.found.texts else "the names of the files")]
    told: list[tuple[str, str]] = []
    for key in ("text", "label", "group", "split"):
        if seen.source.get(key) and key in seen.why:
            told.append((key, f"column {seen.source[key]!r}: {seen.why[key]}"))
    if seen.unused:
        more = f" and {len(seen.unused) - 10} more" if len(seen.unused) > 10 else ""
        told.append(("not used", f"{', '.join(map(repr, seen.unused[:10]))}{more}"))
    return told


def _classes(seen: Look) -> str:
    classes = seen.portrait.classes
    told = [f"{shortened(label)} {number:,} ({_percent(share)})" for label, number, share in shares(classes)]
    more = f", and {len(told) - _CLASSES} more, down to {told[-1]}" if len(told) > _CLASSES else ""
    most, _, share = next(iter(shares(classes)))
    text = f"{len(told)}: {', '.join(told[:_CLASSES])}{more}."
    text += f" Always saying {shortened(most)} is right for {_percent(share)}"
    if seen.portrait.unlabelled:
        text += f". {seen.portrait.unlabelled:,} more texts have no label"
    return text


def _first(seen: Look) -> str:
    text, label = seen.portrait.first or ("", "")
    return f"{shortened(label)}: {shortened(text)}"


def _words(seen: Look, fitted: Fitted) -> str:
    kind = fitted.values["tokenizer"]
    unread = "case and signs such as ! and ? are not read"
    return f"{seen.portrait.script}; {fitted.why}, so tokenizer {kind} fits; {unread}"


def _lengths(fitted: Fitted) -> str:
    lengths = fitted.lengths
    parts = f"half of the texts have at most {lengths.median:,} tokens, 98 % {lengths.most:,}, all {lengths.longest:,}"
    longer = f" ({_percent(fitted.cut)} are longer than max_tokens, and cut)" if fitted.cut else ""
    return f"{parts}{longer}. Of the tokens of texts not learnt from, {_percent(fitted.unknown)} are unknown"


def _repeats(seen: Look) -> str:
    texts, rows, conflicts = seen.portrait.repeats
    if not texts:
        return "none"
    return f"{counted(texts, 'text')} in {counted(rows, 'row')}; {conflicts:,} of them with several labels"


def _split(seen: Look, values: Mapping[str, Any]) -> str:
    splits = seen.portrait.splits
    named = [f"{split} {splits[split]:,}" for split in SPLITS if splits[split]]
    if set(splits) - {""}:
        rest = "" if values["test"] == "given" else f"; {_percent(values['test'])} of train will be the test"
        return f"the data bring one: {', '.join(named)}{rest}"
    validation = _percent(values["validation"])
    return f"the data bring none: {_percent(values['test'])} will be the test, {validation} of the rest validation"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _rare(seen: Look, values: Mapping[str, Any]) -> list[str]:
    """Name the classes of which the test split will have next to none."""
    if values["test"] == "given":
        return []
    classes = seen.portrait.classes
    few = [label for label, number in classes.items() if number * values["test"] < _FEW_TEST_TEXTS]
    if not few:
        return []
    told = [f"{shortened(label)} ({classes[label]:,})" for label in sorted(few, key=classes.__getitem__)]
    more = ", …" if len(few) > 5 else ""
    return [f"the test split will have fewer than {_FEW_TEST_TEXTS} texts of {', '.join(told[:5])}{more}"]


def _set_aside(seen: Look) -> list[tuple[str, str]]:
    counts = seen.problems.counts
    if not counts:
        return []
    number = counts.total()
    kinds = ", ".join(f"{count:,} × {kind}" for kind, count in counts.items())
    lines = [f"{number:,} row{'s' if number > 1 else ''}: {kinds}"]
    lines += [one.told for one in seen.problems.first(_BAD_ROWS)]
    return [("set aside", "\n".join(lines))]
