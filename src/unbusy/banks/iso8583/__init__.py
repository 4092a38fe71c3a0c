"""Banks behind a switch, as cards know it: ISO 8583:1987 over one connection that stays.

    on, off, alive?   0800 ──▶ 0810     management of the connection
    push, pull        0200 ──▶ 0210     financial request
    enquire           0600 ──▶ 0610     administrative request: what became of it?
                 └─▶  0420 ──▶ 0430     reversal advice: where nobody knows of it, nothing may come of it any more
    the bank tells    0220 ──▶ 0230     financial advice: heard, and asked about in its turn

Each message stands behind its length, and ends with a code that only the bank and we can make (field 64
or 128): what has no good one was not said by the bank. Many are under way at once. An answer is known by
its trace number, its retrieval reference and the time of the question, in whatever order they come.

A payment has one retrieval reference, made from our reference, so that every worker names it alike, also
after a crash. What is to be sent or reversed stands in the transit's row until its end is known: that is
the store; the worker that takes up what is due forwards.
"""

from unbusy.banks.iso8583.connector import ISO8583 as ISO8583
from unbusy.banks.iso8583.connector import Table as Table
from unbusy.banks.iso8583.seals import Seals as Seals
