"""The application for an ASGI server. Only this module makes it from the environment."""

from config.logs import configure_logging
from config.settings import load_settings
from tasks.kinds import KINDS
from web.app import create_app
from web.gateway.application import Gateway
from web.http.services import services_of
from web.metrics.exposition import metrics_of

settings = load_settings(kinds=KINDS)
configure_logging(settings.log_format, settings.log_level)
_flask = create_app(settings)
services = services_of(_flask)
application = Gateway(_flask.wsgi_app, services, metrics_of(_flask))
