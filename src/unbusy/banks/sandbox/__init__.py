"""The sandbox bank: a bank to try things out on, in a process and with books of its own.

    POST /token                                 an access token for a client that signs for it
    POST …/domestic-payment-consents            may this be paid?   (push: from the client's account)
    POST …/domestic-payments                    pay it
    POST …/domestic-vrp-consents                may this account be drawn on?   (pull: a standing mandate)
    POST …/domestic-vrps                        draw on it
    GET | DELETE …/domestic-payments?EndToEndIdentification=…    what became of it | never execute it
    GET | DELETE …/domestic-vrps?EndToEndIdentification=…
    POST /iso20022                              a message, answered with another

By one door it speaks payment initiation in the shape of UK Open Banking 4.0 (OAuth 2 client credentials with a
signed assertion, messages with a detached PS256 signature both ways, an idempotency key, states of
ISO 20022). Beyond it, as some banks do, payments are found and withdrawn by the client's own
reference: who lost an answer has nothing else. Consents are authorised at once.

By the other it takes pacs.008, pacs.003 and pacs.028 with their header, one payment a message,
under a detached PS256 signature and nothing else, and answers pacs.002. An enquiry for what it has
not got withdraws it.

And on the same port it is a switch (`switch.py`): ISO 8583 over connections that stay, which begin with a byte that no
HTTP begins with.

    POST | GET | DELETE /faults                 what goes wrong from now on (`faults.py`)
    PUT /accounts                               a customer's account as it should be
    GET /books                                  what was executed, and what everybody has
    GET /statement?format=camt.053&day=2026-03-10    what was booked on the client's account (`statement.py`)

Any IBAN is an account that was always there, with plenty on it. Magic amounts are declined or go
wrong by themselves. No line is shared with the connector that speaks to it: two that
misunderstand the standard the same way would understand each other.
"""

from unbusy.banks.sandbox.faults import MAGIC_DECLINES as MAGIC_DECLINES
from unbusy.banks.sandbox.faults import MAGIC_FAULTS as MAGIC_FAULTS
from unbusy.banks.sandbox.faults import Fault as Fault
from unbusy.banks.sandbox.faults import Kind as Kind
from unbusy.banks.sandbox.faults import Operation as Operation
from unbusy.banks.sandbox.keys import home as home
from unbusy.banks.sandbox.keys import prepare as prepare
from unbusy.banks.sandbox.server import run as run
