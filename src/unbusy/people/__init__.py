"""People: customers, merchants and operators, and how they prove who they are.

    a person   ──▶ open ──▶ closed                    the handle stays theirs for ever
    a session  ──▶ open ──▶ ended | expired           see `sessions`

What it promises: whoever shows an access token is known without a look at the database. A session
that has ended is refused in every process within a second. Nobody learns by trying who has an
account here, and guessing gets slower with every guess, however many gateways there are.
"""

from unbusy.people.model import NewPerson, Payee, Person, SignedIn
from unbusy.people.passwords import Cost, hash_password
from unbusy.people.service import People
from unbusy.people.sql import check, has_people, insert_people, prune
from unbusy.people.tokens import AccessTokens

__all__ = [
    "AccessTokens",
    "Cost",
    "NewPerson",
    "Payee",
    "People",
    "Person",
    "SignedIn",
    "check",
    "has_people",
    "hash_password",
    "insert_people",
    "prune",
]
