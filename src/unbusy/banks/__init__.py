"""Banks: where money comes from and goes to when it crosses the edge of the wallet.

    send ──▶ settled                        executed, for good
         ├─▶ declined                       certain: not executed
         ├─▶ accepted ─┐
         └─▶ unknown  ─┴─ enquire ──▶ settled │ declined │ accepted │ unknown

A bank may be slow, down, or lose its answer. Whoever sends has committed the reference before, and
enquires afterwards; a reference is executed at most once, however often it is sent. How well a bank does
is judged by the calls to it alone (`health.py`), told by the workers (`watch.py`), and shown to everybody.
"""

from unbusy.banks.health import Operation as Operation
from unbusy.banks.pace import Pace as Pace
from unbusy.banks.port import DECLINES as DECLINES
from unbusy.banks.port import REFERENCE_PATTERN as REFERENCE_PATTERN
from unbusy.banks.port import ChecksNames as ChecksNames
from unbusy.banks.port import Connector as Connector
from unbusy.banks.port import Direction as Direction
from unbusy.banks.port import ExternalAccount as ExternalAccount
from unbusy.banks.port import Instruction as Instruction
from unbusy.banks.port import NameAnswer as NameAnswer
from unbusy.banks.port import NameMatch as NameMatch
from unbusy.banks.port import Result as Result
from unbusy.banks.port import State as State
from unbusy.banks.service import Banks as Banks
from unbusy.banks.service import accounts as accounts
from unbusy.banks.service import connect as connect
from unbusy.banks.service import folders as folders
from unbusy.banks.service import limits as limits
from unbusy.banks.service import name_checks as name_checks
from unbusy.banks.service import names as names
from unbusy.banks.watch import Watch as Watch
