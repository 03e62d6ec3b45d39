"""The pay matrix: which types of people are paid for which types of assignments (``<feed>.matrix.csv``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.mappings.schema import Strict, Text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.mappings.schema import FeedMapping


class MatrixRow(Strict):
    """One pair that is paid; every other is not. Types are compared without regard to letter case."""

    personnel_type: Text
    assignment_type: Text


def in_matrix(
    personnel_type: pd.Series[Any], assignment_type: pd.Series[Any], mapping: FeedMapping
) -> NDArray[np.bool_]:
    """Which pairs of types are in the feed's matrix; all of them where its integration has no matrix.

    The two Series have one entry per line, in the same order; null is in no pair.
    """
    import numpy as np
    import pandas as pd

    if "matrix" not in mapping.side_tables:
        return np.ones(len(personnel_type), dtype=bool)
    paid = {(_plain(row.personnel_type), _plain(row.assignment_type)) for row in mapping.side_tables["matrix"]}
    people, people_types = pd.factorize(personnel_type)
    assignments, assignment_types = pd.factorize(assignment_type)
    pairs = np.array(
        [[(_plain(person), _plain(work)) in paid for work in (*assignment_types, "")] for person in (*people_types, "")]
    )
    found: NDArray[np.bool_] = pairs[people, assignments]  # place -1, of null, is the last: the pair with ""
    return found


def _plain(word: str) -> str:
    return " ".join(word.split()).casefold()
