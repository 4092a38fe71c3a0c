"""Banks that speak ISO 20022, as a partner's bank does: one message up, one message back, over HTTPS.

    push      pacs.008 ──▶ pacs.002     credit transfer
    pull      pacs.003 ──▶ pacs.002     direct debit
    enquire   pacs.028 ──▶ pacs.002

Each message is posted to one address with its business application header (head.001) beside it,
under a detached PS256 signature, and so is the answer: what is not signed by the bank was not said
by the bank. What we write is checked against its schema before it leaves; of what we read only the
elements that we need must be there, in whatever version.

The bank must execute an `EndToEndId` once, and agree on one thing beyond the standard: it answers an
enquiry for a payment that it has not got with `CANC`, and never executes that payment any more.
"""

from unbusy.banks.iso20022.connector import ISO20022 as ISO20022
from unbusy.banks.iso20022.connector import Table as Table
