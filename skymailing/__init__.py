"""SkyMailing: email mailings with a ledger that accounts for every letter."""

from flask import Flask

from skymailing import extensions
from skymailing.caching import invalidation, middleware
from skymailing.commands import CommandGroup
from skymailing.db import engine
from skymailing.delivery.audience import typed_values
from skymailing.events import recording
from skymailing.logs import access
from skymailing.tracking import redirects
from skymailing.web import compression, error_pages, i18n, responses, stateless, static_files
from skymailing.web.lazy_pages import LazyPagesFlask


def create_app(config: object, *, defer_pages: bool = False) -> Flask:
    """Return the application; `config` is an instance of a class of config.py.

    With `defer_pages`, pages are built when a URL is first needed; most commands need none.
    """
    app = LazyPagesFlask(__name__)
    app.config.from_object(config)
    app.cli = CommandGroup(app.name)
    compression.configure(app)  # first, so that it compresses finished responses
    middleware.configure(app)  # second, because cached pages need none of the following
    redirects.configure(app)
    bind_extensions(app)
    engine.configure_database(app)
    typed_values.configure(app)
    invalidation.configure(app)
    recording.configure(app)
    i18n.configure(app)
    stateless.configure(app)
    static_files.configure(app)
    responses.configure(app)
    if defer_pages:
        app.defer_pages(lambda: register_pages(app))
    else:
        register_pages(app)
    error_pages.register_error_pages(app)
    access.configure(app)  # around every layer that can respond
    responses.trust_proxies(app)  # last and outermost, so that all other layers see the visitor's address
    return app


def bind_extensions(app: Flask) -> None:
    from skymailing import models  # noqa: F401 - registers the tables

    extensions.db.init_app(app)
    extensions.csrf.init_app(app)
    extensions.login.init_app(app)
    extensions.mail.init_app(app)
    extensions.cache.init_app(app)


def register_pages(app: Flask) -> None:
    """Add everything that only requests need."""
    extensions.limiter.init_app(app)
    register_blueprints(app)
    register_cached_pages(app)


def register_blueprints(app: Flask) -> None:
    from skymailing.api import views as api
    from skymailing.archive import views as archive
    from skymailing.auth import views as auth
    from skymailing.blog import views as blog
    from skymailing.brand import views as brand
    from skymailing.clients import views as clients
    from skymailing.domains import views as domains
    from skymailing.help import views as help_pages
    from skymailing.home import views as home
    from skymailing.letters import views as letters
    from skymailing.mail_catcher import views as mail_catcher
    from skymailing.mailings import views as mailings
    from skymailing.manager import views as manager
    from skymailing.messages import views as messages
    from skymailing.monitoring import views as monitoring
    from skymailing.palette import views as palette
    from skymailing.reports import views as reports
    from skymailing.returns import views as returns
    from skymailing.segments import views as segments
    from skymailing.senders import views as senders
    from skymailing.sequences import views as sequences
    from skymailing.servers import views as servers
    from skymailing.signup import views as signup
    from skymailing.topics import views as topics
    from skymailing.tracking import views as tracking
    from skymailing.webhooks import views as webhooks

    features = [home, monitoring, auth, clients, segments, messages, senders, domains, mailings, sequences]
    features += [topics, servers, signup, returns, reports, brand, blog, archive, tracking, webhooks, letters]
    features += [palette, help_pages]
    if app.config["MAIL_CATCHER"]:
        features.append(mail_catcher)
    for feature in features:
        for blueprint in feature.BLUEPRINTS:
            app.register_blueprint(blueprint)
    manager.register(app)
    api.register(app)


def register_cached_pages(app: Flask) -> None:
    from skymailing.archive import cached_pages as archive
    from skymailing.blog import cached_pages as blog
    from skymailing.help import cached_pages as help_pages
    from skymailing.home import cached_pages as home
    from skymailing.signup import cached_pages as signup

    for feature in (home, help_pages, blog, signup, archive):
        middleware.register_pages(app, feature.CACHED_PAGES)
