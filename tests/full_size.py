"""Print the SHA-256 of each cell's weights and predictions, trained at the size of the default data set.

Large enough for TensorFlow to split operations among threads, which small networks are not.
python -m tests.full_size
"""

import hashlib

import numpy as np

from pipeline.core.params import CELLS, read_params
from pipeline.networks import building, networks
from pipeline.networks.fitting import fit
from pipeline.tokens.ragged import from_lists

WORDS = 10_000


def main() -> None:
    settings = read_params().train.model_copy(update={"epochs": 2, "patience": 0})
    rng = np.random.default_rng(1)
    texts = from_lists([rng.integers(1, WORDS, rng.integers(4, 65)).tolist() for _ in range(640)])
    labels = rng.integers(0, 2, 640).astype(np.int32)
    for cell in CELLS:
        networks.seed_everything(1)
        model = building.build(cell, WORDS, 2, settings)
        fit(model, (texts, labels), (texts, labels), settings, 64, 1)
        arrays = [*model.get_weights(), networks.predict(model, texts)]
        print(cell, hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())


if __name__ == "__main__":
    main()
