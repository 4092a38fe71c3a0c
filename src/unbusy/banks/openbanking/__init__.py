"""Banks that speak UK Open Banking 4.0: payment initiation over HTTPS (standards.openbanking.org.uk).

    push   domestic-payment-consents ──▶ domestic-payments     one consent for one payment
    pull   domestic-vrp-consents     ──▶ domestic-vrps         a standing mandate for one account

The client proves who it is with an assertion it signs (OAuth 2 client credentials, RFC 7523). Every message
carries a detached PS256 signature, and so does every answer: what is not signed by the bank was
not said by the bank.

Whose an account is it tells in the shape of Pay.UK's Confirmation of Payee (POST to `names_url`): a match, or not and
why not (`MBAM`: nearly, `ANNM`: no), with the holder's name masked.

The standard has no way to ask for a payment whose id was lost with the answer. The bank must
therefore offer what many do beside it: to find a payment by its `EndToEndIdentification`, and to
withdraw (`DELETE`) one that it has not got, so that it is not executed any more.
"""

from unbusy.banks.openbanking.connector import OpenBanking as OpenBanking
from unbusy.banks.openbanking.connector import Table as Table
