"""What is wrong with files of data sets (Appendix C): named one by one, counted by kind."""

import dataclasses
from collections import Counter
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Problem:
    """What makes a file or a scan unusable.

    Attributes:
      kind: in few words, for counting.
      text: a sentence that names the file.
    """

    kind: str
    text: str


def count_kinds(problems: Sequence[Problem]) -> dict[str, int]:
    """Number of problems of each kind."""
    return dict(sorted(Counter(problem.kind for problem in problems).items()))


def to_lines(problems: Sequence[Problem], limit: int | None = None) -> list[str]:
    """Problems as lines for a person, by kind.

    Args:
      problems: the problems.
      limit: show only so many of a kind, and how many more there are; None shows all.

    Returns:
      The lines.
    """
    lines = []
    for kind, count in count_kinds(problems).items():
        texts = [problem.text for problem in problems if problem.kind == kind]
        lines.append(f"  {count:,} x {kind}")
        lines += [f"    {text}" for text in texts[:limit]]
        if limit is not None and count > limit:
            lines.append(f"    ... and {count - limit:,} more")
    return lines
