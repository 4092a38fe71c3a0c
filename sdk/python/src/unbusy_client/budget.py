"""How many retries are allowed, so that clients never multiply a load that is too high already."""

from __future__ import annotations

# At most one retry in ten requests: a wallet that answers nobody then carries 1.1 times the load of
# one that answers everybody, where three retries each would make it four times.
RATIO = 0.1

# Retries that a client may make before it has made any request to speak of.
RESERVE = 10.0


class Budget:
    """A bucket of retries: each call puts a tenth of one in, each retry takes one out.

    Whatever happens, retries ≤ `RESERVE` + `RATIO` × calls. Waiting one's turn in line takes nothing:
    the wallet itself said when to come. Shared by all calls of a client.
    """

    def __init__(self) -> None:
        self._left = RESERVE

    def deposit(self) -> None:
        """A call begins."""
        self._left = min(RESERVE, self._left + RATIO)

    def withdraw(self) -> bool:
        """Take a retry, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
