"""What other pages ask to lead people to the first-run page."""

from typing import Any

from django import template

from proxy.first_run import service

register = template.Library()


@register.simple_tag
def needs_first_account() -> bool:
    """Whether nobody can log in yet."""
    return not service.has_staff_account()


@register.simple_tag
def can_set_up(user: Any) -> bool:
    """Whether the first-run page is open to this user."""
    return service.may_set_up(user) and not service.has_route()
