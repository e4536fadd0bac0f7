"""Sign-up forms: list and read them, and list the requests to subscribe."""

from typing import Any

from skymailing.api.paging import list_after
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.forms import FormHead, FormSchema, SignupQuery, SignupSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.pages import page_of
from skymailing.clock import utcnow
from skymailing.models import Signup, SignupForm
from skymailing.security import get_own
from skymailing.signup.queries import Numbers, count_people, count_waiting, select_forms, select_signups
from skymailing.signup.snippet import form_url, write_snippet

bp = Resource("forms", "Public forms through which people subscribe.")

NUMBERS = ("requested", "confirmed", "recently_requested", "recently_confirmed")
HEAD = [name for name in FormHead().fields if name not in (*NUMBERS, "url")]
TEXTS = ("title", "introduction", "button", "consent_text", "thanks_text", "thanks_url")


@bp.operation("GET /forms", Scope.FORMS_READ, query=PageQuery, gives=list_of(FormHead))
def list_forms(query: dict[str, Any]) -> Any:
    """List sign-up forms, oldest first."""
    listing = list_after(
        select_forms(current_access().owner_id),
        [(SignupForm.id, False)],
        query.get("after"),
        query["limit"],
    )
    return page_of(listing, describe(listing.items))


@bp.operation("GET /forms/<int:form_id>", Scope.FORMS_READ, gives=FormSchema)
def get_form(form_id: int) -> Any:
    """Get a sign-up form, with the code for a website."""
    form = get_own(SignupForm, form_id)
    (head,) = describe([form])
    return head | {
        **{name: getattr(form, name) for name in TEXTS},
        "form_fields": form.fields,
        "tags": [tag.name for tag in form.tags],
        "topic_ids": [topic.id for topic in form.topics],
        "waiting": count_waiting(form.id),
        "snippet": write_snippet(form),
    }


@bp.operation(
    "GET /forms/<int:form_id>/signups", Scope.FORMS_READ, query=SignupQuery, gives=list_of(SignupSchema)
)
def list_signups(query: dict[str, Any], form_id: int) -> Any:
    """List the requests to subscribe through a form, oldest first.

    They are deleted some days later. People who have confirmed are clients.
    """
    statement = select_signups(get_own(SignupForm, form_id).id, query.get("confirmed"))
    return page_of(list_after(statement, [(Signup.id, False)], query.get("after"), query["limit"]))


def describe(forms: list[SignupForm]) -> list[dict[str, Any]]:
    """Return forms with their counts, for the schema."""
    numbers = count_people([form.id for form in forms], utcnow()) if forms else {}
    return [
        {name: getattr(form, name) for name in HEAD}
        | {name: getattr(numbers.get(form.id, Numbers()), name) for name in NUMBERS}
        | {"url": form_url(form)}
        for form in forms
    ]
