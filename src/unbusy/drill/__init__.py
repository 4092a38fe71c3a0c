"""The drill: ten times the load, frozen storage and killed processes, and what must hold meanwhile.

    calibrate C ─▶ phases ─▶ measures ─▶ lines 1–17 ─▶ report
                     ├─ the oracle: what was told, against what the books say
                     └─ the riders: people who pay with the client through all of it

C is what the wallet declares to carry: 0.6 of the highest rate at which it answers within 100 ms and
refuses nobody, on the same machine in the same run. A generator that cannot keep up makes a drill
void, never green; and a control run with the gate off must collapse, else the drill proves nothing.
"""

from unbusy.drill.lines import Line, Phase
from unbusy.drill.picture import Picture, show_result
from unbusy.drill.report import write_report
from unbusy.drill.run import Machine, Result, Watcher, drill

__all__ = ["Line", "Machine", "Phase", "Picture", "Result", "Watcher", "drill", "show_result", "write_report"]
