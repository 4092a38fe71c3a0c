"""Statements: what a bank says it booked on the operator's account there, explained by ours line by line.

    file ─▶ statement ─┬▶ taken ─▶ its lines ─┬▶ matched    it is ours: one transit, or several at once
                       │                      ├▶ booked     to suspense, with a case: nothing of ours fits
                       │                      └▶ held       with a case: ours is not final yet
                       ├▶ parked              with a case: it does not follow, or its sum is broken
                       └▶ refused             it is none of this account, or was taken already

A *case* is a break with its age. Every statement looks again at what earlier ones left open, so a
case resolves itself when a later one explains it; or an operator closes it, with a reason that stays
(`cases.py`). What completed here and no line shows is a case too. A day whose statements are all there
is closed with a signed report (`closing.py`).

What it promises: nothing is matched twice, the order of lines does not matter, and the books say a
bank owes exactly what its lines are explained by (`proofs.py`). `matching.py` is pure.
"""

from unbusy.statements.cases import Case, Closing, OpenCase, close, open_cases
from unbusy.statements.closing import Seal, Signed, close_day, is_genuine
from unbusy.statements.folder import FileResult, Folder
from unbusy.statements.proofs import check
from unbusy.statements.report import folders, reconcile, show, show_cases, show_day, status
from unbusy.statements.service import Statements, Taking

__all__ = [
    "Case",
    "Closing",
    "FileResult",
    "Folder",
    "OpenCase",
    "Seal",
    "Signed",
    "Statements",
    "Taking",
    "check",
    "close",
    "close_day",
    "folders",
    "is_genuine",
    "open_cases",
    "reconcile",
    "show",
    "show_cases",
    "show_day",
    "status",
]
