"""The public blog, its feed and the sitemap."""

from skymailing.blog.views import articles, syndication

BLUEPRINTS = (articles.bp, syndication.bp)
