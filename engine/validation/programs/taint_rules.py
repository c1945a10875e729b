"""What the taint engine knows of libraries: where foreign values enter and what makes them harmless. Tables only.

Names are dotted as they are imported; `()` stands for what a call gives, so that `requests.Session().get` is the method
of a session. `@request` is the request of any web framework.
"""

from __future__ import annotations

from engine.validation.programs.taint_values import ALL, NORMAL

SQL = "sql-injection"
COMMAND = "command-injection"
CODE = "code-injection"
TEMPLATE = "template-injection"
PATH = "path-traversal"
SSRF = "ssrf"
REDIRECT = "open-redirect"
XSS = "xss"
PICKLE = "unsafe-deserialisation"
XXE = "xxe"

REFERENCES: dict[str, str] = {
    SQL: "CWE-89",
    COMMAND: "CWE-78",
    CODE: "CWE-94",
    TEMPLATE: "CWE-1336",
    PATH: "CWE-22",
    SSRF: "CWE-918",
    REDIRECT: "CWE-601",
    XSS: "CWE-79",
    PICKLE: "CWE-502",
    XXE: "CWE-611",
    "csrf": "CWE-352",
    "weak-crypto": "CWE-327",
    "weak-random": "CWE-330",
    "tls-verification-off": "CWE-295",
    "debug-enabled": "CWE-489",
    "insecure-temporary-file": "CWE-377",
    "bind-all": "CWE-605",
}

NUMBERS: dict[str, frozenset[str]] = {
    SQL: frozenset(["608", "610", "611"]),
    COMMAND: frozenset(["601", "602", "603", "604", "605", "606", "607", "609"]),
    CODE: frozenset(["102", "307"]),
    TEMPLATE: frozenset(("701",)),
    PATH: frozenset(("202",)),
    SSRF: frozenset(("310",)),
    XSS: frozenset(["308", "701", "702", "703", "704"]),
    PICKLE: frozenset(["301", "302", "403", "506", "614"]),
    XXE: frozenset(["313", "314", "315", "316", "317", "318", "319", "320", "405", "406", "407", "408", "409", "410"]),
    "weak-crypto": frozenset(["303", "304", "305", "324", "413", "502", "503", "504", "505"]),
    "weak-random": frozenset(("311",)),
    "tls-verification-off": frozenset(["323", "501", "507"]),
    "debug-enabled": frozenset(("201",)),
    "insecure-temporary-file": frozenset(["108", "306"]),
    "bind-all": frozenset(("104",)),
}
"""The numbers that bandit (B...) and ruff (S...) have for the same faults."""

REQUESTS = frozenset(
    (
        "flask.request",
        "quart.request",
        "bottle.request",
        "flask.globals.request",
        "django.http.HttpRequest()",
        "starlette.requests.Request()",
        "fastapi.Request()",
        "aiohttp.web.Request()",
        "sanic.request.Request()",
        "sanic.Request()",
        "django.http.request.HttpRequest()",
        "rest_framework.request.Request()",
        "pyramid.request.Request()",
        "werkzeug.wrappers.Request()",
        "werkzeug.Request()",
        "cherrypy.request",
    )
)
"""What is a request, by name."""

REQUEST_NAMES = frozenset(("request", "req", "http_request"))
"""Parameters that are requests."""

REQUEST_TYPES = frozenset(("Request", "HttpRequest", "WSGIRequest", "HTTPServerRequest", "BaseRequest"))

REQUEST_FIELDS = frozenset(
    [
        "args",
        "form",
        "values",
        "json",
        "data",
        "cookies",
        "headers",
        "files",
        "view_args",
        "query_string",
        "stream",
        "get_json",
        "get_data",
        "GET",
        "POST",
        "COOKIES",
        "META",
        "FILES",
        "body",
        "query_params",
        "path_params",
        "match_info",
        "query",
        "rel_url",
        "post",
        "text",
        "read",
        "forms",
        "params",
        "raw_post_data",
        "raw_args",
        "match_dict",
        "matchdict",
        "json_body",
        "POST_data",
        "body_arguments",
        "arguments",
        "query_arguments",
        "multipart",
        "input",
        "content_params",
    ]
)
"""What of a request its sender chooses."""

SOURCES: dict[str, str] = {
    "sys.argv": "weak",
    "os.environ": "weak",
    "os.getenv()": "weak",
    "input()": "weak",
    "raw_input()": "weak",
    "sys.stdin": "weak",
    "argparse.ArgumentParser().parse_args()": "weak",
    "argparse.ArgumentParser().parse_known_args()": "weak",
    "optparse.OptionParser().parse_args()": "weak",
    "docopt.docopt()": "weak",
    "cgi.FieldStorage()": "source",
    "cherrypy.request.params": "source",
    "streamlit.text_input()": "source",
}

SOURCE_METHODS = frozenset(
    (
        "get_argument",
        "get_arguments",
        "get_query_argument",
        "get_query_arguments",
        "get_body_argument",
        "get_body_arguments",
    )
)
"""Methods of tornado's handlers, by which a handler gets what was sent."""

SOURCE_FIELDS = frozenset(("cleaned_data", "validated_data"))
"""What a form or serializer has of a request."""

ROUTES = frozenset(
    [
        "route",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "websocket",
        "api_route",
        "head",
        "options",
        "view",
        "add_url_rule",
    ]
)
"""Decorators that make a function a view."""

VIEW_CLASSES = (
    "View",
    "MethodView",
    "Resource",
    "APIView",
    "ViewSet",
    "RequestHandler",
    "HTTPEndpoint",
    "GenericAPIView",
    "BaseHandler",
    "ModelViewSet",
    "HTTPMethodView",
)
VIEW_METHODS = frozenset(
    [
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "head",
        "options",
        "dispatch",
        "list",
        "create",
        "retrieve",
        "update",
        "destroy",
    ]
)

SAFE_TYPES = frozenset(
    [
        "int",
        "float",
        "bool",
        "UUID",
        "Decimal",
        "date",
        "datetime",
        "time",
        "timedelta",
        "Enum",
        "Literal",
        "PositiveInt",
        "complex",
        "NoneType",
        "UUID4",
        "UUID1",
        "conint",
        "confloat",
        "NonNegativeInt",
        "IPvAnyAddress",
    ]
)
"""Annotations of parameters that a framework turns into values which can do no harm."""

SAFE_CONVERTERS = frozenset(("int", "float", "uuid"))

EVERYTHING = frozenset((ALL,))
MARKUP = frozenset((XSS,))
ADDRESS = frozenset((SSRF, REDIRECT))
FILE_NAME = frozenset((PATH, NORMAL))

SANITIZERS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        [
            "int",
            "float",
            "bool",
            "len",
            "hash",
            "id",
            "ord",
            "complex",
            "abs",
            "isinstance",
            "callable",
            "hasattr",
            "sum",
            "round",
            "uuid.UUID",
            "uuid.uuid4",
            "uuid.uuid1",
            "decimal.Decimal",
            "datetime.datetime.strptime",
            "datetime.datetime.fromisoformat",
            "range",
            "datetime.date.fromisoformat",
            "datetime.datetime",
            "datetime.date",
            "datetime.timedelta",
            "fractions.Fraction",
            "ipaddress.ip_address",
            "ipaddress.ip_network",
            "ipaddress.IPv4Address",
            "ipaddress.IPv6Address",
            "bin",
            "hex",
            "hashlib.sha256",
            "hashlib.sha1",
            "hashlib.md5",
            "hashlib.sha512",
            "hashlib.blake2b",
            "hashlib.sha384",
            "hmac.new",
            "hashlib.new",
            "hashlib.sha224",
            "hashlib.blake2s",
            "hashlib.sha3_256",
            "secrets.token_hex",
            "secrets.token_urlsafe",
            "time.time",
            "flask.url_for",
            "url_for",
            "django.urls.reverse",
            "reverse",
            "flask.jsonify",
            "jsonify",
            "django.http.JsonResponse",
            "psycopg2.sql.Identifier",
            "psycopg2.sql.Literal",
            "psycopg2.sql.Placeholder",
            "psycopg.sql.Identifier",
            "psycopg.sql.Literal",
            "psycopg.sql.Placeholder",
            "dateutil.parser.parse",
            "django.utils.dateparse.parse_date",
            "django.utils.dateparse.parse_datetime",
            "werkzeug.security.generate_password_hash",
            "os.getpid",
            "os.path.getsize",
            "os.path.exists",
            "os.path.isfile",
            "os.path.isdir",
            "ast.literal_eval.x",
            "django.shortcuts.get_object_or_404",
            "get_object_or_404",
            "flask.render_template",
            "django.shortcuts.render",
            "render_template",
            "render",
            "sqlalchemy.sql.quoted_name",
            "sqlalchemy.column",
            "sqlalchemy.table",
            "sqlalchemy.select",
            "sqlalchemy.bindparam",
            "sqlalchemy.desc",
            "sqlalchemy.asc",
            "sqlalchemy.func",
            "sqlalchemy.literal",
            "sqlalchemy.insert",
            "sqlalchemy.update",
            "sqlalchemy.delete",
            "psycopg2.extensions.quote_ident",
            "asyncpg.utils._quote_ident",
        ],
        EVERYTHING,
    ),
    **dict.fromkeys(
        [
            "html.escape",
            "cgi.escape",
            "markupsafe.escape",
            "flask.escape",
            "django.utils.html.escape",
            "bleach.clean",
            "nh3.clean",
            "django.utils.html.conditional_escape",
            "django.utils.html.format_html",
            "django.utils.html.strip_tags",
            "django.utils.html.format_html_join",
            "werkzeug.utils.escape",
            "werkzeug.html",
            "markupsafe.escape_silent",
            "xml.sax.saxutils.escape",
            "xml.sax.saxutils.quoteattr",
            "tornado.escape.xhtml_escape",
            "escape",
            "lxml.html.clean",
            "django.template.loader.render_to_string",
            "jinja2.escape",
            "jinja2.utils.escape",
            "json.dumps.x",
            "django.template.defaultfilters.force_escape",
            "django.utils.html.urlize",
            "django.utils.html.escapejs",
            "flask.render_template_string",
            "wtforms.widgets.html_params",
            "lxml.html.clean.clean_html",
        ],
        MARKUP,
    ),
    **{
        name: frozenset((XSS, PATH, SSRF, REDIRECT, COMMAND))
        for name in [
            "urllib.parse.quote_plus",
            "urllib.parse.urlencode",
            "urllib.quote_plus",
            "urllib.urlencode",
            "base64.b64encode",
            "base64.urlsafe_b64encode",
            "django.utils.http.urlencode",
            "binascii.hexlify",
            "werkzeug.urls.url_quote_plus",
        ]
    },
    **{name: frozenset((XSS, REDIRECT)) for name in ("urllib.parse.quote", "urllib.quote", "werkzeug.urls.url_quote")},
    **{
        name: frozenset((COMMAND,))
        for name in ["shlex.quote", "pipes.quote", "subprocess.list2cmdline", "shlex.join", "mslex.quote"]
    },
    **dict.fromkeys(
        [
            "werkzeug.utils.secure_filename",
            "werkzeug.secure_filename",
            "secure_filename",
            "os.path.basename",
            "ntpath.basename",
            "posixpath.basename",
            "django.utils.text.get_valid_filename",
            "django.utils.text.slugify",
            "slugify.slugify",
            "flask.safe_join",
            "werkzeug.utils.safe_join",
            "werkzeug.security.safe_join",
            "safe_join",
            "django.utils._os.safe_join",
            "pathvalidate.sanitize_filename",
            "starlette.staticfiles.StaticFiles().lookup_path",
        ],
        FILE_NAME,
    ),
    **{name: frozenset((NORMAL,)) for name in ("os.path.realpath", "os.path.abspath", "os.path.normpath")},
    **{name: frozenset((PICKLE,)) for name in ["pickle.dumps", "dill.dumps", "cloudpickle.dumps", "marshal.dumps"]},
    "json.dumps": MARKUP,
}
"""Functions by name, and what their results are safe for."""

SANITIZING_METHODS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        [
            "isdigit",
            "isalnum",
            "isidentifier",
            "isnumeric",
            "isdecimal",
            "startswith",
            "endswith",
            "find",
            "index",
            "count",
            "hexdigest",
            "digest",
            "bit_length",
            "timestamp",
            "isoformat",
            "total_seconds",
            "toordinal",
            "rfind",
            "quote_name",
            "quote_identifier",
            "is_relative_to",
            "exists",
            "is_file",
            "is_dir",
            "escape_identifier",
            "escape_literal",
            "quote_ident",
            "literal",
            "is_integer",
            "validate_on_submit",
            "is_valid",
            "mogrify",
            "first_or_404",
            "get_or_404",
            "format_identifier",
            "fileno",
            "strftime",
        ],
        EVERYTHING,
    ),
    "resolve": frozenset((NORMAL,)),
    "get_valid_name": FILE_NAME,
    "get_available_name": FILE_NAME,
    "escape_string": frozenset((SQL,)),
    "escape": frozenset((SQL, XSS)),
    "hex": frozenset((SQL, XSS, PATH, COMMAND)),
}
"""The same for methods of anything."""

FILE_NAME_FIELDS = frozenset(("name", "stem", "suffix"))
"""What of a path holds no directory."""
