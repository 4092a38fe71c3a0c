"""A few requests are looked at in each round of the loop, in the order they came."""

from __future__ import annotations

import asyncio

from unbusy.api.rounds import FEW, PART, Rounds


class Notes:
    """A reader that keeps what it looked at."""

    def __init__(self, kept: list[bytes]) -> None:
        self._kept = kept

    def look_at(self, data: bytes) -> None:
        self._kept.append(data)


async def test_what_comes_to_an_idle_loop_is_looked_at_at_once() -> None:
    """With room in the round nobody waits."""
    kept: list[bytes] = []
    Rounds().take_turn(Notes(kept), b"one")
    assert kept == [b"one"]


async def test_a_crowd_takes_several_rounds_in_the_order_it_came() -> None:
    """Between two rounds the loop does what else there is; nothing is lost, nothing overtakes."""
    rounds, kept = Rounds(), list[bytes]()
    came = [b"%d" % number for number in range(3 * FEW)]
    for data in came:
        rounds.take_turn(Notes(kept), data)
    for round_ in range(1, 4):
        assert kept == came[: round_ * FEW]
        assert (rounds.oldest_wait > 0) == (round_ < 3)
        await asyncio.sleep(0)
    assert kept == came


async def test_a_long_line_is_shortened_by_a_part_of_it_each_round() -> None:
    """However many wait: not so many that all else stands still, and not so few that they wait for ever."""
    rounds, kept, many = Rounds(), list[bytes](), FEW + 100 * FEW * PART
    for _ in range(many):
        rounds.take_turn(Notes(kept), b"one")
    for _ in range(3):
        left, done = many - len(kept), len(kept)
        await asyncio.sleep(0)
        assert len(kept) - done == left // PART


async def test_who_comes_later_waits_behind_those_who_wait() -> None:
    """Also when the round has room again."""
    rounds, kept = Rounds(), list[bytes]()
    for _ in range(2 * FEW + 1):
        rounds.take_turn(Notes(kept), b"early")
    await asyncio.sleep(0)
    rounds.take_turn(Notes(kept), b"late")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert kept == [b"early"] * (2 * FEW + 1) + [b"late"]


async def test_who_stops_looks_at_all_that_waits() -> None:
    """Nobody who was heard is left without an answer by a gateway that ends."""
    rounds, kept = Rounds(), list[bytes]()
    for _ in range(3 * FEW):
        rounds.take_turn(Notes(kept), b"one")
    rounds.finish()
    assert kept == [b"one"] * (3 * FEW)


async def test_a_reader_that_breaks_keeps_nobody_waiting() -> None:
    """Those behind it are looked at in the next round."""

    class Broken:
        def look_at(self, data: bytes) -> None:
            raise RuntimeError(data)

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    rounds, kept = Rounds(), list[bytes]()
    for _ in range(FEW):
        rounds.take_turn(Notes(kept), b"first")
    rounds.take_turn(Broken(), b"broken")
    rounds.take_turn(Notes(kept), b"behind")
    for _ in range(3):
        await asyncio.sleep(0)
    assert kept[-1] == b"behind"
