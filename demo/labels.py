"""Labels from judged pairs: what a pair calls the same shares a label,
what it calls different must not."""

from collections.abc import Iterable


class Labels:
    """Union-find over names of questions: `same` pairs join,
    `different` pairs are kept as known traps."""

    def __init__(self, pairs: Iterable[tuple[str, str, bool]]) -> None:
        self._parent: dict[str, str] = {}
        apart = []
        for a, b, same in pairs:
            first, second = self._root(a), self._root(b)
            if same:
                self._parent[second] = first
            else:
                apart.append((a, b))
        self._differs: dict[str, set[str]] = {}
        for a, b in apart:
            first, second = self._root(a), self._root(b)
            # A chain of "same" may contradict a "different": then nothing is known.
            if first != second:
                self._differs.setdefault(first, set()).add(second)
                self._differs.setdefault(second, set()).add(first)

    def label(self, name: str) -> str:
        """The name that stands for all questions with this answer."""
        return self._root(name)

    def differs(self, name: str) -> frozenset[str]:
        """Labels of which some pair says that they want another answer than this question."""
        return frozenset(self._differs.get(self._root(name), ()))

    def _root(self, name: str) -> str:
        path = []
        while (parent := self._parent.setdefault(name, name)) != name:
            path.append(name)
            name = parent
        for step in path:
            self._parent[step] = name
        return name
