"""Django settings, from the environment (`.env.example` lists every variable).

Without DATABASE_URL the embedded services are used.
"""

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from csp import constants as csp

from gateway_project import environment, logs
from gateway_project.embedded import configuration

BASE_DIR = configuration.BASE_DIR
TEMPLATES_DIR = configuration.find_templates_dir()
VAR_DIR = configuration.find_var_dir()
URLS = configuration.resolve_urls(VAR_DIR)
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}

VERSION = "0.1.0"
DEBUG = environment.read_flag("TOKENTHRIFT_DEBUG")
SECRET_KEY = configuration.load_secret(VAR_DIR, "TOKENTHRIFT_SECRET_KEY")
ALLOWED_HOSTS = environment.read_word_list("TOKENTHRIFT_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.read_word_list("TOKENTHRIFT_TRUSTED_ORIGINS")

# The gateway. `proxy.conf` and the services read these at the moment of use. Times in seconds.
HOST = environment.read_text("TOKENTHRIFT_HOST", "127.0.0.1")
PORT = environment.read_integer("TOKENTHRIFT_PORT", 8000, low=1, high=65535)
WORKERS = environment.read_integer("TOKENTHRIFT_WORKERS", 1, low=1, high=256)
TRUSTED_PROXIES = environment.read_word_list("TOKENTHRIFT_TRUSTED_PROXIES", "127.0.0.1")
PATH_PREFIX = environment.read_text("TOKENTHRIFT_PATH_PREFIX").removesuffix("/")
CORS_ORIGINS = environment.read_word_list("TOKENTHRIFT_CORS_ORIGINS")
KEY_PEPPER = configuration.load_secret(VAR_DIR, "TOKENTHRIFT_KEY_PEPPER")
ENCRYPTION_KEYS = [
    key.strip()
    for key in configuration.load_secret(VAR_DIR, "TOKENTHRIFT_ENCRYPTION_KEYS").split(",")
    if key.strip()
]
ENCRYPT_CACHE = environment.read_flag("TOKENTHRIFT_ENCRYPT_CACHE")
ADMIN_KEY = environment.read_text("TOKENTHRIFT_ADMIN_KEY")
METRICS_TOKEN = environment.read_text("TOKENTHRIFT_METRICS_TOKEN")
INSTANCE = environment.read_text("TOKENTHRIFT_INSTANCE") or configuration.derive_instance(
    URLS.database
)
# How long requests in flight may take after SIGTERM. Container platforms kill after 30 s by
# default.
SHUTDOWN_SECONDS = environment.read_integer("TOKENTHRIFT_SHUTDOWN_SECONDS", 25, low=1, high=3600)
SPOOL_DIR = Path(environment.read_text("TOKENTHRIFT_SPOOL_DIR", str(VAR_DIR / "spool")))
SPOOL_BYTES = (
    environment.read_integer("TOKENTHRIFT_SPOOL_MB", 4096, low=0, high=10_000_000) * 1024 * 1024
)
SPOOL_MEMORY_BYTES = (
    environment.read_integer("TOKENTHRIFT_SPOOL_MEMORY_MB", 64, low=1, high=100_000) * 1024 * 1024
)
EMBEDDER = environment.read_text("TOKENTHRIFT_EMBEDDER", "minilm")
VERIFIER = environment.read_text("TOKENTHRIFT_VERIFIER", "minilm")
CONFIG_SOURCE = environment.read_text("TOKENTHRIFT_CONFIG")
LOCK_MANAGED = environment.read_flag("TOKENTHRIFT_LOCK_MANAGED")
COMPARED_LANGUAGES = environment.read_word_list("TOKENTHRIFT_LANGUAGES", "en")
COMPRESSORS = environment.read_integer("TOKENTHRIFT_COMPRESSORS", 1, low=1, high=64)
COMPRESSION_DEADLINE = (
    environment.read_number("TOKENTHRIFT_COMPRESSION_DEADLINE_MS", 5000, low=10, high=60_000) / 1000
)
MAX_BODY_BYTES = environment.read_integer(
    "TOKENTHRIFT_MAX_BODY_BYTES", 16 * 1024 * 1024, low=1024, high=1024**3
)
MAX_DEPTH = environment.read_integer("TOKENTHRIFT_MAX_DEPTH", 64, low=8, high=200)
MAX_JSON_VALUES = environment.read_integer(
    "TOKENTHRIFT_MAX_JSON_VALUES", 500_000, low=1000, high=50_000_000
)
MAX_MESSAGES = environment.read_integer("TOKENTHRIFT_MAX_MESSAGES", 10_000, low=1, high=1_000_000)
MAX_PARTS = environment.read_integer("TOKENTHRIFT_MAX_PARTS", 10_000, low=1, high=1_000_000)
MAX_HEAD_BYTES = environment.read_integer(
    "TOKENTHRIFT_MAX_HEAD_BYTES", 64 * 1024, low=4096, high=1024**2
)
MAX_HEADERS = environment.read_integer("TOKENTHRIFT_MAX_HEADERS", 200, low=16, high=10_000)
HEAD_TIMEOUT = environment.read_number("TOKENTHRIFT_HEAD_TIMEOUT", 30, low=1, high=3600)
BODY_TIMEOUT = environment.read_number("TOKENTHRIFT_BODY_TIMEOUT", 60, low=1, high=3600)
UNREAD_TIMEOUT = environment.read_number("TOKENTHRIFT_UNREAD_TIMEOUT", 60, low=1, high=3600)
CONNECTIONS_PER_ADDRESS = environment.read_integer(
    "TOKENTHRIFT_CONNECTIONS_PER_ADDRESS", 1000, low=0, high=1_000_000
)
REQUESTS_PER_KEY = environment.read_integer(
    "TOKENTHRIFT_REQUESTS_PER_KEY", 1000, low=0, high=1_000_000
)
CACHE_BUDGET = (
    environment.read_number("TOKENTHRIFT_CACHE_BUDGET_MS", 100, low=1, high=10_000) / 1000
)
STORE_BUDGET = (
    environment.read_number("TOKENTHRIFT_STORE_BUDGET_MS", 2000, low=1, high=60_000) / 1000
)
EXACT_MEMORY = (
    environment.read_integer("TOKENTHRIFT_EXACT_MEMORY_MB", 16, low=0, high=65_536) * 1024 * 1024
)
SIMILARITY_FLOOR = environment.read_number("TOKENTHRIFT_SIMILARITY_FLOOR", 0.50, low=0, high=1)
CANDIDATES = environment.read_integer("TOKENTHRIFT_CANDIDATES", 5, low=1, high=50)
KEEP_EVENTS_DAYS = environment.read_integer("TOKENTHRIFT_KEEP_EVENTS_DAYS", 400, low=0, high=36_500)
KEEP_MINUTES_DAYS = environment.read_integer("TOKENTHRIFT_KEEP_MINUTES_DAYS", 7, low=0, high=36_500)
KEEP_HOURS_DAYS = environment.read_integer("TOKENTHRIFT_KEEP_HOURS_DAYS", 400, low=0, high=36_500)
IMPRINT_DAYS = environment.read_integer("TOKENTHRIFT_IMPRINT_DAYS", 7, low=0, high=90)
UPKEEP_SECONDS = environment.read_number("TOKENTHRIFT_UPKEEP_SECONDS", 3600, low=1, high=86_400)
FEEDBACK_PER_MINUTE = environment.read_integer(
    "TOKENTHRIFT_FEEDBACK_PER_MINUTE", 60, low=1, high=100_000
)
# People who log in. `accounts` reads these; the identity provider's are explained in
# docs/sign-on.md.
OIDC_ISSUER = environment.read_text("TOKENTHRIFT_OIDC_ISSUER")
OIDC_CLIENT_ID = environment.read_text("TOKENTHRIFT_OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = environment.read_text("TOKENTHRIFT_OIDC_CLIENT_SECRET")
OIDC_SCOPES = environment.read_word_list("TOKENTHRIFT_OIDC_SCOPES", "openid,email,profile")
OIDC_ROLES_CLAIM = environment.read_text("TOKENTHRIFT_OIDC_ROLES_CLAIM", "groups")
OIDC_ROLES = environment.read_text("TOKENTHRIFT_OIDC_ROLES")
OIDC_EMAIL_DOMAINS = environment.read_word_list("TOKENTHRIFT_OIDC_EMAIL_DOMAINS")
OIDC_BUTTON = environment.read_text("TOKENTHRIFT_OIDC_BUTTON")
OIDC_ALLOW_PRIVATE = environment.read_flag("TOKENTHRIFT_OIDC_ALLOW_PRIVATE")
LOCAL_LOGIN = environment.read_flag("TOKENTHRIFT_LOCAL_LOGIN", default=True)
REQUIRE_SECOND_FACTOR = environment.read_flag("TOKENTHRIFT_REQUIRE_SECOND_FACTOR")
TOKEN_DAYS = environment.read_integer("TOKENTHRIFT_TOKEN_DAYS", 365, low=1, high=3650)
BREAK_GLASS = environment.read_word_list("TOKENTHRIFT_BREAK_GLASS")
# Implements the port of plans.capabilities.
CAPABILITIES = "gateway_project.running_capabilities.RunningCapabilities"
REDIS_URL, REDIS_SEMANTIC_URL, QDRANT_URL = URLS.redis, URLS.redis_semantic, URLS.qdrant
QDRANT_API_KEY = environment.read_text("TOKENTHRIFT_QDRANT_API_KEY")

# Traces go where this or one of the standard variables (opentelemetry.io, "OTLP Exporter
# Configuration") says; nowhere by default.
OTLP_ENDPOINT = environment.read_text("TOKENTHRIFT_OTLP_ENDPOINT")
_OTLP = (
    OTLP_ENDPOINT,
    *map(
        environment.read_text, ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ),
)
TRACING = (
    any(_OTLP)
    and not environment.read_flag("OTEL_SDK_DISABLED")
    and environment.read_text("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
)

INSTALLED_APPS = [
    "plans",
    "stats",
    "proxy",
    "accounts",
    "gateway_project.apps.GatewayConfig",
    "accounts.admin_config.GatewayAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
    "simple_history",
]
MIDDLEWARE = [
    "gateway_project.path_prefix.keep_cookies_below_prefix",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "plans.middleware.TenantPagesMiddleware",
    "axes.middleware.AxesMiddleware",
    "plans.login_limits.LoginQueueMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "accounts.backends.PasswordPolicyBackend",
    "plans.access.TenantPermissionBackend",
    "django.contrib.auth.backends.ModelBackend",
    "accounts.backends.OidcBackend",
]
ROOT_URLCONF = "gateway_project.urls"
ASGI_APPLICATION = "gateway_project.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [TEMPLATES_DIR],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"first_run": "proxy.first_run.tags", "formatting": "stats.formatting"},
        },
    }
]

_database = environ.Env.db_url_config(URLS.database)
DATABASES = {
    "default": _database
    | {
        # Under ASGI each request has a thread of its own, and a persistent connection would never
        # be reused.
        "CONN_MAX_AGE": 0,
        # No query of ours takes long, and none may hang: a frozen server gives an error, not a
        # stuck page. `migrate` lifts the limit. Nor does any take long enough for compiling it to
        # pay: compiling the sums of a page takes longer than computing them.
        "OPTIONS": {
            "connect_timeout": 3,
            "tcp_user_timeout": 5000,
            "options": "-c statement_timeout=30s -c lock_timeout=10s -c jit=off",
        }
        | _database.get("OPTIONS", {}),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "gateway_project.path_prefix.PrefixedStaticFiles"},
}
STATICFILES_DIRS = [TEMPLATES_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # files are served from their source folders, without collectstatic
WHITENOISE_ALLOW_ALL_ORIGINS = False
# WhiteNoise gives Django a file iterator, which under ASGI is read whole in a thread: acceptable
# for files this small.
warnings.filterwarnings(
    "ignore", message="StreamingHttpResponse must consume synchronous iterators"
)


def _build_redis_cache(part: str, serializer: str) -> dict[str, Any]:
    """Build one cache alias on Redis."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        # django-redis keeps one pool per URL, so the (unused) fragment gives each alias its own
        # pool.
        "LOCATION": f"{URLS.redis}#{part}",
        # No colon: django-redis splits keys at the first two.
        "KEY_PREFIX": f"{INSTANCE}-{part}",
        "OPTIONS": {
            "SERIALIZER": serializer,
            "COMPRESSOR": "django_redis.compressors.identity.IdentityCompressor",
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
        },
    }


# Never call `cache.clear()` on either: it flushes the whole database, the other alias included.
CACHES = {
    "default": _build_redis_cache("django", "django_redis.serializers.json.JSONSerializer"),
    "exact": _build_redis_cache("exact", "proxy.cache_serializer.EnvelopeSerializer"),
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": URLS.redis,
                    "socket_connect_timeout": 1.0,
                    "socket_timeout": 2.0,
                    "health_check_interval": 10,
                }
            ],
            "prefix": f"{INSTANCE}:channels",
            # A received message names a method to call: accepted only from senders that know the
            # pepper.
            "symmetric_encryption_keys": [f"channels of {INSTANCE}: {KEY_PEPPER}"],
        },
    }
}

# Browsers. TLS ends at a proxy in front; its X-Forwarded-Proto is used if it comes from
# TRUSTED_PROXIES.
HTTPS = environment.read_flag("TOKENTHRIFT_HTTPS", not set(ALLOWED_HOSTS) <= LOOPBACK)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Asked by machines inside, below a prefix or not.
SECURE_REDIRECT_EXEMPT = [r"(?:^|/)(?:livez|readyz|healthz|metrics)/?$"]
SECURE_HSTS_SECONDS = environment.read_integer(
    "TOKENTHRIFT_HSTS_SECONDS", 0, low=0, high=10 * 365 * 86400
)
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
# So that two services on one host do not share cookies.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "tokenthrift_session", "tokenthrift_csrf"
X_FRAME_OPTIONS = "DENY"
# Subdomains and preload would bind hosts that are not ours.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.NONE],
        "script-src": [csp.SELF],
        "style-src": [csp.SELF],
        "img-src": [csp.SELF],
        "font-src": [csp.SELF],
        "connect-src": [csp.SELF],
        "form-action": [csp.SELF],
        "base-uri": [csp.NONE],
        "frame-ancestors": [csp.NONE],
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "dashboard"  # if no page was requested, or one of another site
PASSWORD_RESET_TIMEOUT = 3600
# Mail for invitations and new passwords; without a server none is sent.
_SMTP = environment.read_smtp_url("TOKENTHRIFT_SMTP_URL")
EMAIL_HOST, EMAIL_PORT = _SMTP.host, _SMTP.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _SMTP.username, _SMTP.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _SMTP.starttls, _SMTP.implicit_tls
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.read_text("TOKENTHRIFT_MAIL_FROM")
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Both together: no one can lock out another user from elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# An address alone, and a name alone, have higher limits.
AXES_HANDLER = "plans.login_limits.LoginFailureHandler"

LOGGING = logs.build_logging_config(
    environment.read_text("TOKENTHRIFT_LOG_LEVEL", "INFO").upper(),
    environment.read_text("TOKENTHRIFT_LOG_FORMAT", "text"),
)
LOG_REQUESTS = environment.read_flag("TOKENTHRIFT_LOG_REQUESTS")
# HTTPS_PROXY, HTTP_PROXY and NO_PROXY: of calls to providers, and only if asked for.
PROXY_FROM_ENVIRONMENT = environment.read_flag("TOKENTHRIFT_PROXY_FROM_ENVIRONMENT")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.tokens.authentication.PersonalTokenAuthentication",
        "plans.api.authentication.AdminKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["plans.api.authentication.IsAdministrator"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["plans.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "plans.api.error_responses.as_error_object",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tokenthrift",
    "DESCRIPTION": "Token-saving plans, the gateway's configuration, and what was saved.",
    "VERSION": VERSION,
    "PREPROCESSING_HOOKS": ["plans.api.openapi.without_trailing_slash"],
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {"KeyStateEnum": "proxy.config_api.serializers.STATES"},
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Its links to operations are nested buttons.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False},
}
