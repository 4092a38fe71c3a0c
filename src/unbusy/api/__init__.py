"""How every endpoint behaves: who asks, idempotency, problems, pages, waiting, events."""

from unbusy.api.principals import Authenticator, Principal, Role, allow, guard

__all__ = ["Authenticator", "Principal", "Role", "allow", "guard"]
