"""Classify texts with a trained model.

The model is the champion of the data set (`make promote`), else the best on disk by validation accuracy; standard
error says which. `--model` takes models:/…, runs:/…, a folder, or a name in data/models.

A file is a table of any form that preprocess reads, with the texts in one column, or .txt with one text per line, as
`-` (standard input) is. It is read as strictly as by preprocess, once before the first answer: a bad row is told with
its line, and there are no answers. Then it is answered a few thousand texts at a time, so it may be larger than memory.
The answer is one line per text, `label <tab> probability <tab> text`; with --output, it is a table of the text, the
columns named with --keep (as text), `label`, and `p_<label>` for every label. The file appears when it is complete.
With --truth, standard error ends with how many answers are right, over all and for each label.
"""

import csv
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.command import PATH, InputError, progress, run, waiting
from pipeline.core.folders import SOURCES
from pipeline.core.params import read_params
from pipeline.core.text import counted, valid_unicode
from pipeline.corpus.lines import Dialect, check_encoding, ending_of
from pipeline.corpus.problems import Problems, shortened
from pipeline.corpus.reviews import read_split
from pipeline.corpus.sources import FilesSource, read_source
from pipeline.corpus.splits import text_digest
from pipeline.corpus.tables import TABLE_ENDINGS, Columns, in_batches, read_table, read_text_lines, row_count
from pipeline.serving.selection import TextModel, choose
from pipeline.tools.arguments import MODEL, Tool
from pipeline.tracking.paths import MODELS, PROCESSED, REVIEWS

INPUTS = (*TABLE_ENDINGS, ".txt", ".txt.gz")
OUTPUTS = (".csv", ".tsv", ".jsonl", ".parquet")
_FOR_SPREADSHEETS = (".csv", ".tsv")
_SHOWN_LABELS = 10
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how what a spreadsheet may run begins (OWASP, CSV injection)

PLAIN = Dialect()

Write = Callable[[pd.DataFrame], None]


def read_texts(
    file: str,
    column: str,
    keep: list[str],
    dialect: Dialect = PLAIN,
    problems: Problems | None = None,
    truth: str | None = None,
) -> Iterator[pd.DataFrame]:
    """Stream the texts of a file.

    Args:
        file: a path, or `-` for standard input.
        column: where the texts stand.
        keep: further columns to read.
        dialect: how a text file is written.
        problems: is told of bad rows. Without it, they are an error at the end.
        truth: where the true labels stand, which are strings or missing.

    Yields:
        Tables with `column`, `truth` and the columns in `keep`, of objects; every text is a string.

    Raises:
        InputError: the file cannot be read, lacks a column, or holds rows that cannot be read (`BadRowsError`).
    """
    path, found = Path(file), Problems(of_tool=True) if problems is None else problems
    has_lines = file == "-" or ending_of(path) == ".txt"
    if has_lines and (keep or truth is not None):
        named = f"--keep {' '.join(keep)}" if keep else f"--truth {truth}"
        raise InputError(f"--keep and --truth need columns; .txt files and standard input have none. Received: {named}")
    if file == "-":
        yield from _read_standard_input(sys.stdin.buffer, column)
    elif not path.name.lower().endswith(INPUTS):
        raise InputError(f"--file must end in {', '.join(INPUTS)}, or be -. Received: {file}")
    elif not path.is_file():
        raise InputError(f"{file} does not exist")
    elif has_lines:
        yield from read_text_lines(path, column, dialect.encoding, found, learnt=False)
    else:
        columns = Columns(column, label=truth, others=tuple(keep))
        for table in read_table(path, columns, "--column, --keep and --truth", dialect, found):
            yield table.assign(**{column: table[column].fillna("")})  # an empty field is an empty text
    if problems is None:
        found.check()


def check(file: str, column: str, keep: list[str], dialect: Dialect, truth: str | None = None) -> None:
    """Read a whole file, before anything is answered.

    Raises:
        InputError: see `read_texts`.
    """
    problems = Problems(of_tool=True)
    for _ in progress(read_texts(file, column, keep, dialect, problems, truth), desc="check", unit=" tables"):
        pass
    problems.check()


def joined(table: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Put answers beside their texts and what was kept, all of which becomes text.

    A column may be of one type at the top of a file and of another further down: as text, it fits any output. Where
    the input has a column of the same name, ours is `predicted_<name>`.
    """
    renamed = answers.rename(columns={name: _name_beside(set(table), str(name)) for name in answers})
    given = table.map(_as_text, na_action="ignore").astype("str")
    return pd.concat([given, renamed.set_axis(table.index)], axis=1)


@contextmanager
def open_output(path: Path) -> Iterator[Write]:
    """Write tables one below the other; the file gets its name when the block ends well, and else there is none.

    Raises:
        InputError: the file cannot be written; or one of the block, to which it adds that nothing was.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        kind = _parquet if path.suffix.lower() == ".parquet" else _lines
        with kind(temporary, path.suffix.lower()) as write:
            yield write
        temporary.replace(path)
    except InputError as error:
        raise InputError(f"{error}; {path} was not written") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _lines(path: Path, ending: str) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        header = True

        def write(table: pd.DataFrame) -> None:
            nonlocal header
            if ending == ".jsonl":
                table.to_json(file, orient="records", lines=True, force_ascii=False, double_precision=15)
            else:
                # All texts in quotes: without them, a lone carriage return would end the row.
                separator = "\t" if ending == ".tsv" else ","
                table.to_csv(file, sep=separator, header=header, index=False, quoting=csv.QUOTE_NONNUMERIC)
            header = False

        yield write


@contextmanager
def _parquet(path: Path, _: str) -> Iterator[Write]:
    writer: pq.ParquetWriter | None = None

    def write(table: pd.DataFrame) -> None:
        nonlocal writer
        if writer is None:
            fields = [(str(n), pa.float64() if t == "float64" else pa.string()) for n, t in table.dtypes.items()]
            writer = pq.ParquetWriter(path, pa.schema(fields), compression="zstd")
        writer.write_table(pa.Table.from_pandas(table, writer.schema, preserve_index=False))

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Put ' before each text and each name of a column that a spreadsheet may take for a formula."""
    return table.map(_no_formula).rename(columns=_no_formula)


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def print_lines(texts: list[str], answers: pd.DataFrame) -> None:
    """Print `label <tab> probability <tab> text`, the text on one line."""
    for text, answer in zip(texts, answers.to_dict("records"), strict=True):
        label = answer["label"]
        print(label, f"{answer[f'p_{label}']:.4f}", _as_text(" ".join(text.split())), sep="\t")


def _read_standard_input(lines: Iterable[bytes], column: str) -> Iterator[pd.DataFrame]:
    """Read what may never end: it is answered as it comes, and bytes that are no UTF-8 are shown as such."""
    for texts in in_batches(_decoded(lines), len):
        yield pd.DataFrame({column: texts}, dtype=object)


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    encoding = "utf-8-sig"  # a byte-order mark may stand before the first line
    for line in lines:
        yield line.decode(encoding, "replace").rstrip("\r\n")
        encoding = "utf-8"


def _name_beside(taken: set[Any], name: str) -> str:
    while name in taken:
        name = f"predicted_{name}"
    return name


def _as_text(value: Any) -> str:
    return valid_unicode(str(value))


@dataclass
class Tally:
    """Count what was answered.

    Attributes:
        ways: the label that each way of writing stands for.
        learnt: digests of the texts that the models of this folder learnt from.
        known: the texts with a true label that are among them.
        texts: all of them.
        unknown: those in which the model knows no token.
        first_unknown: one of them.
        truth: the true labels, as far as there are any.
        given: the answers to the same texts.
        labels: of the model.
    """

    ways: Mapping[str, str] = field(default_factory=dict)
    learnt: Collection[int] = ()
    texts: int = 0
    known: int = 0
    unknown: int = 0
    first_unknown: str = ""
    truth: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(
        self, texts: Sequence[str], answers: pd.DataFrame, knows: np.ndarray | None, truth: pd.Series | None
    ) -> None:
        """Count some more."""
        self.texts += len(texts)
        if knows is not None and not knows.all():
            self.first_unknown = self.first_unknown or texts[int(knows.argmin())]
            self.unknown += int((~knows).sum())
        if truth is not None:
            labelled = (truth.notna() & (truth.fillna("").str.strip() != "")).to_numpy()
            self.labels = [str(name).removeprefix("p_") for name in answers.columns[1:]]
            ways = {**self.ways, **{label: label for label in self.labels}}
            self.truth += [ways.get(label, label) for label in truth[labelled]]
            self.given += answers["label"][labelled].tolist()
            if self.learnt:
                counted_texts = (text for text, has in zip(texts, labelled, strict=True) if has)
                self.known += sum(text_digest(text) in self.learnt for text in counted_texts)

    def told(self) -> str:
        """Say what makes answers doubtful, and how many are right."""
        parts = []
        if self.unknown:
            parts.append(
                f"warning: in {self.unknown:,} of {counted(self.texts, 'text')} the model knows no word, so its answer"
                f" says nothing of them; the first: {shortened(self.first_unknown)!r}"
            )
        if self.truth:
            parts.append(_right(self.truth, self.given, self.labels))
        if self.labels and (missing := self.texts - len(self.truth)):
            parts.append(f"not counted: {counted(missing, 'text')} without a true label")
        if self.known:
            parts.append(
                f"warning: {self.known:,} of the {len(self.truth):,} stand in the train split of {PROCESSED}: answers"
                " to what a model has learnt say nothing of new texts"
            )
        if strange := sorted(set(self.truth) - set(self.labels)):
            parts.append(
                f"warning: the model does not know the true labels {_listed(strange)}, and cannot be right there; its"
                f" labels are {_listed(self.labels)}"
            )
        return "\n".join(parts)


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else ""
    return ", ".join(f"'{shortened(label)}'" for label in labels[:_SHOWN_LABELS]) + more


def _right(truth: Sequence[str], given: Sequence[str], labels: Sequence[str]) -> str:
    from scipy.stats import binomtest
    from sklearn.metrics import classification_report

    right = sum(one == other for one, other in zip(truth, given, strict=True))
    between = binomtest(right, len(truth)).proportion_ci(method="wilson")
    shown = [*labels, *sorted(set(truth) - set(labels))[:_SHOWN_LABELS]]
    table = classification_report(
        truth, given, labels=shown, target_names=[*map(shortened, shown)], digits=3, zero_division=0.0
    )
    return (
        f"{right:,} of {len(truth):,} answers are right: {right / len(truth):.1%} (95 % interval {between.low:.1%} to"
        f" {between.high:.1%})\n\n{table}"
    )


def _answer(
    model: TextModel,
    tables: Iterator[pd.DataFrame],
    columns: tuple[str, str | None],
    output: Path | None,
    formulas: bool,
    total: int | None,
    tally: Tally,
) -> None:
    """Print the answers, or write them, and count them; of `total`, where that is known."""
    column, truth = columns
    with ExitStack() as stack:
        bar = stack.enter_context(progress(desc="classify", unit=" texts", total=total))
        write = stack.enter_context(open_output(output)) if output else None
        for table in tables:
            texts = table[column].tolist()
            answers = model.predict(texts)
            if write:
                answered = joined(table, answers)
                write(answered if formulas else without_formulas(answered))
            else:
                print_lines(texts, answers)
            tally.add(texts, answers, model.knows(texts), None if truth is None else table[truth])
            bar.update(len(texts))


def _learnt() -> set[int]:
    """Hash the texts of the train split, if there is one."""
    if not REVIEWS.is_file():
        return set()
    return {text_digest(text) for rows in read_split(REVIEWS, "train", ["text"]) for text in rows["text"]}


def _ways(dataset: str) -> dict[str, str]:
    """Read which ways of writing a label the source.yaml of a data set joins, if there is one."""
    try:
        source = read_source(Path(SOURCES) / dataset)
    except InputError:
        return {}
    return source.label_map if isinstance(source, FilesSource) else {}


def _check(texts: Sequence[str], file: str | None, keep: Sequence[str], output: Path | None, no_formulas: bool) -> None:
    if bool(texts) == bool(file):
        raise InputError("expected either texts or --file; --help has examples")
    if keep and not output:
        raise InputError("--keep needs --output: without it, only label, probability and text are printed")
    if no_formulas and not (output and output.suffix.lower() in _FOR_SPREADSHEETS):
        raise InputError(f"--no-formulas needs --output with {' or '.join(_FOR_SPREADSHEETS)}. Received: {output}")
    if output and output.suffix.lower() not in OUTPUTS:
        raise InputError(f"--output must end in {', '.join(OUTPUTS)}. Received: {output}")
    if output and file and output.resolve() == Path(file).resolve():
        raise InputError(f"--output must be another file than --file. Received: {output}")


def _dialect(encoding: str, delimiter: str | None, quote: str, no_header: bool, sheet: str | None) -> Dialect:
    try:
        check_encoding(encoding)
    except ValueError as error:
        raise InputError(f"--encoding {error}. Received: {encoding}") from None
    for name, value in (("--delimiter", delimiter), ("--quote", None if quote == "none" else quote)):
        if value is not None and (len(value) != 1 or value in "\r\n"):
            raise InputError(f"{name} must be one character. Received: {value!r}")
    return Dialect(encoding, delimiter, None if quote == "none" else quote, not no_header, sheet)


@click.command(cls=Tool)
@click.argument("text", nargs=-1)
@click.option("--file", help="A table, or .txt with one text per line; - is standard input.")
@click.option("--column", default="text", show_default=True, help="The column with the texts.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of a text file.")
@click.option("--delimiter", help="Between the fields of a row. Default: a tab in .tsv, else a comma.")
@click.option("--quote", default='"', show_default=True, help="Around fields; or none.")
@click.option("--no-header", is_flag=True, help="The first row is a text, too; columns are called 1, 2, 3 ...")
@click.option("--sheet", help="Of an Excel workbook. Default: the only one that holds anything.")
@click.option("--keep", multiple=True, metavar="COLUMN...", help="Columns of the file to copy to the output.")
@click.option("--output", type=PATH, help="A .csv, .tsv, .jsonl or .parquet file. Default: print.")
@click.option("--no-formulas", is_flag=True, help="In CSV, put ' before what a spreadsheet may run: = + - @.")
@click.option("--truth", metavar="COLUMN", help="The column with true labels: says how many answers are right.")
@MODEL
def main(
    text: tuple[str, ...],
    file: str | None,
    column: str,
    encoding: str,
    delimiter: str | None,
    quote: str,
    no_header: bool,
    sheet: str | None,
    keep: tuple[str, ...],
    output: Path | None,
    no_formulas: bool,
    truth: str | None,
    model: str | None,
) -> None:
    """Classify each TEXT, or the texts of a file, with a trained model.

    Without --output, a line is printed per text: label, probability, text. With it, a table is written: the text, the
    columns of --keep and --truth, `label`, and one probability per label.

    \b
    Examples:
      gatewise predict "A dull, lifeless film." "Superb."
      gatewise predict --file reviews.csv --column review --output answers.csv
      gatewise predict --file reviews.parquet --keep id film --output answers.parquet --model gru-2
      gatewise predict --file labelled.csv --truth stars --output answers.csv
      head -5 reviews.txt | gatewise predict --file -
    """
    _check(text, file, keep, output, no_formulas)
    if truth is not None and not file:
        raise InputError(f"--truth needs --file. Received: --truth {truth}")
    if truth == column:
        raise InputError(f"--truth must be another column than --column. Received: {truth}")
    dialect = _dialect(encoding, delimiter, quote, no_header, sheet)
    if file and file != "-":  # what is wrong shows before a model is opened, which takes seconds, and before any answer
        check(file, column, [*keep], dialect, truth)
    given = iter([pd.DataFrame({column: text}, dtype=object)])
    tables = read_texts(file, column, [*keep], dialect, truth=truth) if file else given
    first = next(tables, None)
    if first is None or first.empty:
        raise InputError(f"{file} holds no texts")
    params = read_params()
    with waiting("open the model"):
        chosen, which = choose(model, params.dataset, MODELS, params.metric)
    print(f"model: {which}", file=sys.stderr)
    total = row_count(Path(file)) if file else len(first)
    tally = Tally() if truth is None else Tally(_ways(params.dataset), _learnt())
    _answer(chosen, chain([first], tables), (column, truth), output, not no_formulas, total, tally)
    if output:
        print(f"{counted(tally.texts, 'text')}: {output}", file=sys.stderr)
    if told := tally.told():
        print(told, file=sys.stderr)


if __name__ == "__main__":
    run(main)
