"""Weigh how much the texts of each class count in training."""

import numpy as np


def class_weights(labels: np.ndarray) -> dict[int, float]:
    """Weigh classes so that all count the same: texts / (classes x texts of the class), as scikit-learn's `balanced`.

    The weights of all texts together are their number, so regularisation and learning rate keep their meaning.

    Args:
        labels: int codes of the train split, (texts,).

    Returns:
        Code of each class that has texts to the weight of one of them.
    """
    codes, counts = np.unique(labels, return_counts=True)
    weights = len(labels) / (len(codes) * counts)
    return dict(zip(codes.tolist(), weights.tolist(), strict=True))
