"""How every endpoint behaves: who asks, idempotency, problems, pages, waiting, events."""

from unbusy.api.answers import NO_HEADERS, Answer, answer_if_changed
from unbusy.api.application import Application, create
from unbusy.api.bodies import wrong_field
from unbusy.api.documents import markdown as reasons_markdown
from unbusy.api.door import MOST_CONNECTIONS, Door
from unbusy.api.etags import etag
from unbusy.api.events import Event, Hub, LastEventId, Subscription
from unbusy.api.gatekeeper import Gatekeeper
from unbusy.api.health import Probe
from unbusy.api.idempotency import PATTERN as KEY_PATTERN
from unbusy.api.idempotency import IdempotencyKey, fingerprint
from unbusy.api.openapi import NOT_CHANGED, schema_json
from unbusy.api.pages import Cursor, Cursors, Limit, Page
from unbusy.api.prefer import Preference, PreferHeader, read_prefer
from unbusy.api.principals import Authenticator, Principal, Role, allow, guard
from unbusy.api.problems import retry
from unbusy.api.requests import Request
from unbusy.api.rfc9457 import FieldError, Problem, Retry
from unbusy.api.short_way import Asked
from unbusy.api.streams import EventStream
from unbusy.api.texts import Language, choose_language, message, reason_pages

__all__ = [
    "KEY_PATTERN",
    "MOST_CONNECTIONS",
    "NOT_CHANGED",
    "NO_HEADERS",
    "Answer",
    "Application",
    "Asked",
    "Authenticator",
    "Cursor",
    "Cursors",
    "Door",
    "Event",
    "EventStream",
    "FieldError",
    "Gatekeeper",
    "Hub",
    "IdempotencyKey",
    "Language",
    "LastEventId",
    "Limit",
    "Page",
    "PreferHeader",
    "Preference",
    "Principal",
    "Probe",
    "Problem",
    "Request",
    "Retry",
    "Role",
    "Subscription",
    "allow",
    "answer_if_changed",
    "choose_language",
    "create",
    "etag",
    "fingerprint",
    "guard",
    "message",
    "read_prefer",
    "reason_pages",
    "reasons_markdown",
    "retry",
    "schema_json",
    "wrong_field",
]
