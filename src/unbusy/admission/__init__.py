"""Admission: who is let in now, who gets a place in line, who is told when to come back.

    capacity   how much one gateway can do, found by watching it
    shares     that capacity divided: among classes, and within a class among tenants
    line       a class's line: now, or a place and its time
    hall       what all gateways know of a line: where it stands, and who stands where
    tickets    the place in line that its holder carries; `used`: each lets in once
    crowds     payees to whom too many pay at once
    quotas     how often one customer may ask
    shared     what gateways know of each other, and what survives them
    gate       all of it, for one gateway

It knows no money, no database and no clock, and nothing in it waits. Whoever answers requests asks
`Gate.decide` first of all, tells `Gate.finished` afterwards, and calls `Gate.tick` ten times a second.
"""

from unbusy.admission.capacity import Capacity, Sample, follow
from unbusy.admission.classes import CLASSES, COSTS, FLOORS, Class, classify
from unbusy.admission.decisions import Admitted, Decision, Entry, Full, InLine, OverQuota
from unbusy.admission.gate import Gate, Options, Tally, Waits
from unbusy.admission.quotas import Quota
from unbusy.admission.shared import MOST_GATEWAYS, Shared
from unbusy.admission.tickets import LIFE_S

__all__ = [
    "CLASSES",
    "COSTS",
    "FLOORS",
    "LIFE_S",
    "MOST_GATEWAYS",
    "Admitted",
    "Capacity",
    "Class",
    "Decision",
    "Entry",
    "Full",
    "Gate",
    "InLine",
    "Options",
    "OverQuota",
    "Quota",
    "Sample",
    "Shared",
    "Tally",
    "Waits",
    "classify",
    "follow",
]
