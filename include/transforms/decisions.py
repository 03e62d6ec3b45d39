"""The one place where it is decided what becomes of each slot: included, excluded or rejected, with a reason.

A transform starts with every slot undecided, gives reasons, and includes what is left. Nothing can be forgotten or
decided twice: the answer has exactly one row for every slot that came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.reasons import reason as find_reason

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

#: Columns of what :meth:`Decisions.finish` answers.
DECISION_COLUMNS = ("slot_id", "outcome", "reason", "detail")


class Decisions:
    """What becomes of each slot; the first decision about a slot wins.

    ``slots``: a frame with the column ``slot_id``, not null and unique. Masks are booleans in the order of its rows: an
    array, a list, or a Series with the same index.

    Raises:
        ValueError: a slot ID is null or stands twice.
    """

    def __init__(self, slots: pd.DataFrame) -> None:
        import numpy as np

        ids = slots["slot_id"]
        if ids.isna().any() or not ids.is_unique:
            raise ValueError("Slots cannot be decided: a slot_id is missing or stands twice.")
        self._ids = ids
        self._names: list[str | None] = [None]  # place 0 = undecided
        self._decided = np.zeros(len(ids), dtype=np.int16)  # place of the reason in _names
        self._detail = np.full(len(ids), None, dtype=object)
        self._detailed = False

    @property
    def open(self) -> NDArray[np.bool_]:
        """Which slots are still undecided, in slot order. A copy: changing it decides nothing."""
        opened: NDArray[np.bool_] = self._decided == 0
        return opened

    def exclude(self, mask: Any, reason: str, detail: Any = None) -> None:
        """Leave out the undecided slots of ``mask``: somebody meant it so."""
        self._decide(mask, reason, detail, "excluded")

    def reject(self, mask: Any, reason: str, detail: Any = None) -> None:
        """Refuse the undecided slots of ``mask``: somebody must mend data or mapping.

        ``detail`` says what, without a person's data: one text, or one for each slot.
        """
        self._decide(mask, reason, detail, "rejected")

    def finish(self) -> pd.DataFrame:
        """One row per slot, in slot order: ``slot_id``, ``outcome``, ``reason`` and ``detail`` (null when included)."""
        import pandas as pd

        outcomes = ["included" if name is None else find_reason(name).outcome for name in self._names]
        details = pd.array(self._detail if self._detailed else [None], dtype="str")
        return pd.DataFrame(
            {
                "slot_id": self._ids.astype("str").array,
                "outcome": pd.array(outcomes, dtype="str").take(self._decided),
                "reason": pd.array(self._names, dtype="str").take(self._decided),
                "detail": details if self._detailed else details.take(self._decided * 0),
            }
        )

    def _decide(self, mask: Any, reason: str, detail: Any, outcome: str) -> None:
        if find_reason(reason).outcome != outcome:
            raise ValueError(f"{reason} is not a reason for {outcome} slots.")
        newly = self._positions(mask) & self.open
        if not newly.any():
            return
        if reason not in self._names:
            self._names.append(reason)
        self._decided[newly] = self._names.index(reason)
        if detail is not None:
            self._detailed = True
            self._detail[newly] = detail if isinstance(detail, str) else self._aligned(detail)[newly]

    def _positions(self, mask: Any) -> NDArray[np.bool_]:
        import numpy as np

        values = np.asarray(self._aligned(mask))
        if values.dtype != np.bool_:
            raise ValueError("A mask holds true and false, and nothing else (not null either).")
        return values

    def _aligned(self, values: Any) -> Any:
        """``values`` as an array with one entry per slot."""
        import numpy as np
        import pandas as pd

        if isinstance(values, pd.Series):
            if not values.index.equals(self._ids.index):
                raise ValueError("A Series of decisions must have the index of the slots.")
            values = values.to_numpy()
        array = np.asarray(values)
        if array.shape != (len(self._ids),):
            raise ValueError("Decisions need one entry for each slot.")
        return array
