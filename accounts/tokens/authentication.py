"""Authentication of the management API by a personal API token."""

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from accounts.models import ApiToken
from accounts.tokens import service, wrong_tokens
from accounts.tokens.scopes import name_resource
from plans import key_secrets
from plans.api.authentication import ACTION_BY_METHOD


class PersonalTokenAuthentication(BaseAuthentication):
    """Authentication by `Authorization: Bearer ttp-...`.

    The request is then its person's, with their permissions of now; the token can only narrow them.
    Other headers are left to the next class.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the person and the token.

        Raises AuthenticationFailed, Throttled, or PermissionDenied for a call that the token is not
        for: here, so that it holds on every page, whatever permissions the page asks for.
        """
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not key_secrets.is_well_formed(
            secret, key_secrets.PERSONAL_KEY_KIND
        ):
            return None
        address = request.META.get("REMOTE_ADDR", "")
        if wrong_tokens.is_refused(secret, address):
            raise Throttled(
                wrong_tokens.WINDOW_SECONDS, "Too many wrong tokens from here: try again later."
            )
        token = service.find_token(secret)
        if token is None:
            wrong_tokens.count_wrong_token(secret, address)
            raise AuthenticationFailed(
                "This token is unknown, expired or revoked, or its person may not log in."
            )
        _check_scope(token, request)
        service.note_use(token, address)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tokenthrift"'


def _check_scope(token: ApiToken, request: Request) -> None:
    view = request.parser_context.get("view")
    action = getattr(view, "needs", None) or ACTION_BY_METHOD.get(request.method or "", "change")
    if action != "view" and token.access != ApiToken.Access.WRITE:
        raise PermissionDenied("This token may only read.")
    resource = name_resource(request.path_info)
    if token.resources and resource not in token.resources:
        raise PermissionDenied(
            f"This token is for {', '.join(token.resources)}, not for {resource or 'this page'}."
        )
