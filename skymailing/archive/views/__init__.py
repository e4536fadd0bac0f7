"""The pages of letters on the web, and the pages on which owners publish them."""

from skymailing.archive.views import letters, public, publishing

BLUEPRINTS = (letters.bp, public.bp, publishing.bp)
