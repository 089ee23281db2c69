"""Name the files of the pipeline for the tools, which are not told them as the stages are.

dvc.yaml is where paths are decided; a test holds these against it.
"""

from pathlib import Path

RAW, PROCESSED, VECTORS = Path("data/raw"), Path("data/processed"), Path("data/vectors")
MODELS, MEMORY, RESULTS = Path("data/models"), Path("data/memory"), Path("data/results")
LEFTOVERS = Path("data/leftovers")

REVIEWS, DESCRIPTION = PROCESSED / "reviews.parquet", PROCESSED / "data.json"
TOKENIZER, TOKENS = PROCESSED / "tokenizer.json", PROCESSED / "tokens.npz"
EMBEDDINGS, TEST_LABELS = PROCESSED / "embeddings.npz", PROCESSED / "test_labels.npy"
METRICS, STATISTICS, SUMMARY = RESULTS / "metrics.json", RESULTS / "statistics.json", RESULTS / "summary.md"
