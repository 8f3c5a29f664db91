"""The application for a WSGI server. Only this module makes it from the environment."""

from config.logs import configure_logging
from config.settings import load_settings
from tasks.kinds import KINDS
from web.app import create_app
from web.http.services import services_of

settings = load_settings(kinds=KINDS)
configure_logging(settings.log_format, settings.log_level)
application = create_app(settings)
services = services_of(application)
