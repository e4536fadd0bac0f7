"""The pages of sign-up forms: for their owners, and for visitors."""

from skymailing.signup.views import pages, public

BLUEPRINTS = (pages.bp, public.bp)
