"""Statements: what a bank says it booked on the operator's account there, explained by ours line by line.

    file ─▶ statement ─┬▶ taken ─▶ its lines ─┬▶ matched    it is ours: one transit, or several at once
                       │                      ├▶ booked     to suspense, with a case: nothing of ours fits
                       │                      └▶ held       with a case: ours is not final yet
                       ├▶ parked              with a case: it does not follow, or its sum is broken
                       └▶ refused             it is none of this account, or was taken already

A *case* is a break with its age. Every statement looks again at what earlier ones left open, so a
case resolves itself when a later one explains it. What completed here and no line shows is a case too.

What it promises: nothing is matched twice, the order of lines does not matter, and the books say a
bank owes exactly what its lines are explained by (`proofs.py`). `matching.py` is pure.
"""

from unbusy.statements.proofs import check
from unbusy.statements.report import FileResult, reconcile, show, status
from unbusy.statements.service import Case, Statements, Taking

__all__ = ["Case", "FileResult", "Statements", "Taking", "check", "reconcile", "show", "status"]
