"""People over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from unbusy import ids
from unbusy.api import Answer, Request, Role, allow
from unbusy.errors import NotFound
from unbusy.people import model
from unbusy.people.model import NewPerson, Person, PersonLanguage, PersonRole, PersonState, SignedIn, Unshown
from unbusy.people.service import People

ANYONE = allow(Role.anyone)
# Anyone may try, and is told when it was no proof of who they are.
PROVING = allow(Role.anyone, problems=(401,))
SIGNED_IN = allow(Role.customer, Role.merchant, Role.operator)
OPERATORS = allow(Role.operator)

# The tenant of whoever has not signed in: there is one until a bank runs its own.
_TENANT = 1

# Tokens and personal data are in no cache (RFC 6749, section 5.1).
_NO_STORE = {"cache-control": "no-store"}

Name = Annotated[str, Meta(min_length=1, max_length=model.LONGEST_NAME, description="As others see it.")]
Handle = Annotated[
    str,
    Meta(
        pattern=model.HANDLE_PATTERN,
        description="By which others pay; never given to anybody else.",
        examples=["@ming"],
    ),
]
Email = Annotated[str, Meta(min_length=3, max_length=model.LONGEST_EMAIL, description="An e-mail address.")]
Phone = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=model.LONGEST_PHONE,
        description="With its country code; spaces and dashes do not matter.",
        examples=["+86 138 0013 8000"],
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=model.SHORTEST_PASSWORD,
        max_length=model.LONGEST_PASSWORD,
        description="Not one everybody tries first, and without the handle or the e-mail address in it.",
    ),
]
Language = Annotated[PersonLanguage, Meta(description="The language of messages to this person.")]


class NewCustomer(Unshown, frozen=True, forbid_unknown_fields=True):
    """Who signs up. An e-mail address or a phone number is needed; a handle is made when none is chosen."""

    name: Name
    password: Password
    handle: Handle | None = None
    email: Email | None = None
    phone: Phone | None = None
    language: Language = "en"


class NewMerchant(Unshown, frozen=True, forbid_unknown_fields=True):
    """A shop that an operator adds."""

    name: Name
    handle: Handle
    email: Email
    password: Password
    language: Language = "en"


class Credentials(Unshown, frozen=True, forbid_unknown_fields=True):
    """Who signs in, and the proof."""

    identifier: Annotated[
        str,
        Meta(
            min_length=1, max_length=model.LONGEST_EMAIL, description="An e-mail address, a phone number, or `@handle`."
        ),
    ]
    password: Annotated[str, Meta(min_length=1, max_length=model.LONGEST_PASSWORD)]


class Renewal(Unshown, frozen=True, forbid_unknown_fields=True):
    """A refresh token, used up by this."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=256)]


class PersonView(msgspec.Struct, frozen=True):
    """A person, as they see themselves and as an operator sees them."""

    id: Annotated[str, Meta(examples=["per_0193f0c2a7b47f60a1b2c3d4e5f60718"])]
    role: PersonRole
    name: str
    handle: Annotated[str, Meta(examples=["@ming"])]
    email: str | None
    phone: str | None
    language: PersonLanguage
    state: PersonState
    created_at: datetime


class SessionView(Unshown, frozen=True):
    """A session's tokens (RFC 6749, section 5.1), and whose they are."""

    access_token: Annotated[str, Meta(description="For `Authorization: Bearer …`.")]
    refresh_token: Annotated[str, Meta(description="Gets the next pair of tokens, once.")]
    expires_in: Annotated[int, Meta(description="Seconds the access token lives.")]
    person: PersonView
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme


@post("/v1/customers", opt=ANYONE, summary="Sign up", tags=["people"])
async def sign_up(request: Request, data: JSONBody[NewCustomer]) -> Answer[PersonView]:
    """A taken handle is named, for handles are public. A taken e-mail address or phone number is
    not told apart."""
    new = NewPerson(
        name=data.name,
        password=data.password,
        handle=data.handle,
        email=data.email,
        phone=data.phone,
        language=data.language,
    )
    person = await request.part(People).sign_up(_TENANT, new, address=_address(request), deadline=request.deadline)
    return Answer(_person(person), status_code=201, headers=_NO_STORE)


@post("/v1/sessions", opt=PROVING, summary="Sign in", tags=["people"])
async def sign_in(request: Request, data: JSONBody[Credentials]) -> Answer[SessionView]:
    """Attempts that fail make the next one wait, longer each time. Whether it is the identifier or
    the password that is wrong is not told."""
    signed_in = await request.part(People).sign_in(
        _TENANT, data.identifier, data.password, address=_address(request), deadline=request.deadline
    )
    return Answer(_session(signed_in), status_code=201, headers=_NO_STORE)


@post("/v1/sessions/refresh", opt=PROVING, summary="Get new tokens", tags=["people"])
async def refresh(request: Request, data: JSONBody[Renewal]) -> Answer[SessionView]:
    """A refresh token is good once. Used again within ten seconds, as when an answer was lost, it
    gets the same successor; later, the session ends, because somebody else has the token too."""
    signed_in = await request.part(People).refresh(data.refresh_token, deadline=request.deadline)
    return Answer(_session(signed_in), status_code=201, headers=_NO_STORE)


@delete("/v1/sessions/current", opt=SIGNED_IN, summary="Sign out", tags=["people"])
async def sign_out(request: Request) -> None:
    """Tokens of this session are refused everywhere within a second."""
    await request.part(People).sign_out(request.principal)


@delete("/v1/sessions", opt=SIGNED_IN, summary="Sign out everywhere", tags=["people"])
async def sign_out_everywhere(request: Request) -> None:
    """Tokens of all your sessions are refused everywhere within a second."""
    await request.part(People).sign_out_everywhere(request.principal)


@get("/v1/me", opt=SIGNED_IN, summary="See yourself", tags=["people"])
async def see_me(request: Request) -> Answer[PersonView]:
    """Whom the access token stands for."""
    me = request.principal
    return Answer(_person(await _find(request, ids.show("per", me.person_id))), headers=_NO_STORE)


@post("/v1/merchants", opt=OPERATORS, summary="Add a merchant", tags=["operators"])
async def add_merchant(request: Request, data: JSONBody[NewMerchant]) -> Answer[PersonView]:
    """In the operator's tenant."""
    new = NewPerson(
        name=data.name, password=data.password, handle=data.handle, email=data.email, language=data.language
    )
    person = await request.part(People).add_merchant(request.principal.tenant_id, new, deadline=request.deadline)
    return Answer(_person(person), status_code=201, headers=_NO_STORE)


@get("/v1/people/{person_id:str}", opt=OPERATORS, summary="See a person", tags=["operators"])
async def see_person(request: Request, person_id: FromPath[str]) -> Answer[PersonView]:
    """Within the operator's tenant."""
    return Answer(_person(await _find(request, person_id)), headers=_NO_STORE)


HANDLERS = (sign_up, sign_in, refresh, sign_out, sign_out_everywhere, see_me, add_merchant, see_person)


async def _find(request: Request, shown_id: str) -> Person:
    id = ids.read("per", shown_id)
    person = await request.part(People).find(request.principal.tenant_id, id) if id else None
    if person is None:
        raise NotFound("there is nobody with this id")
    return person


def _address(request: Request) -> str:
    """Where the request came from, as the server saw it."""
    return request.client.host if request.client else ""


def _session(signed_in: SignedIn) -> SessionView:
    return SessionView(
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        expires_in=signed_in.expires_in,
        person=_person(signed_in.person),
    )


def _person(person: Person) -> PersonView:
    return PersonView(
        id=ids.show("per", person.id),
        role=person.role,
        name=person.name,
        handle=f"@{person.handle}",
        email=person.email,
        phone=person.phone,
        language=person.language,
        state=person.state,
        created_at=person.created_at,
    )
