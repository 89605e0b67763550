"""Owns what a vault's indexes are called and which of them disagree with its sessions. Pure.

An index's tag `of` is a fingerprint of the names that it holds, so that a listing, which shows no value, tells whether
they are the sessions that there are.
"""

from collections.abc import Collection, Mapping

from shared.model import Marks, digest

ACCOUNT, SID = "a-", "f-"


def indexes_of(marks: Marks) -> tuple[str, ...]:
    """The indexes that a session stands in."""
    account = ACCOUNT + marks.account_hash
    return (account, SID + marks.sid_hash) if marks.sid_hash else (account,)


def index_fingerprint(names: Collection[str]) -> str:
    """The same for the same names in any order, and computed one name at a time."""
    return f"{sum(map(_part, names)):x}"


class IndexCheck:
    """Told of every session and every index of a listing, in any order, `doubtful` names the indexes that are not right.

    While it lasts it holds a number for each index whose sessions have not all come yet, and nothing for the others:
    what the sessions sum up to, less what the index says.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        self._wrong: set[str] = set()

    def session(self, name: str, marks: Marks) -> None:
        part = _part(name)
        for index in indexes_of(marks):
            self._add(index, part)

    def index(self, name: str, tags: Mapping[str, str], *, empty_for_long: bool) -> None:
        """`empty_for_long`: last written so long ago that it is of no use if it is empty."""
        try:
            of = int(tags.get("of", ""), 16)
        except (ValueError, TypeError):
            self._wrong.add(name)
            return
        if of == 0 and empty_for_long:
            self._wrong.add(name)
        self._add(name, -of)

    @property
    def doubtful(self) -> frozenset[str]:
        return frozenset(self._wrong.union(self._open))

    def _add(self, index: str, number: int) -> None:
        if left := self._open.pop(index, 0) + number:
            self._open[index] = left


def _part(name: str) -> int:
    return int(digest(name)[:24], 16)
