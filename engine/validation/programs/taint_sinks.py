"""Where foreign values do harm: tables of functions and methods, and which of their arguments matter. Tables only."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.validation.programs.taint_rules import CODE, COMMAND, PATH, PICKLE, REDIRECT, SQL, SSRF, TEMPLATE, XSS, XXE


class Sink(NamedTuple):
    """group: the weakness. places, names: arguments that matter. result: what it gives is judged, so not again."""

    group: str
    places: tuple[int, ...] = (0,)
    names: tuple[str, ...] = ()
    result: bool = False


def _each(group: str, words: str, places: tuple[int, ...] = (0,), names: tuple[str, ...] = ()) -> dict[str, Sink]:
    return {word: Sink(group, places, names) for word in words.split()}


SINKS: dict[str, Sink] = {
    **{
        word: Sink(SQL, (0,), ("text", "sql", "query"), True)
        for word in [
            "sqlalchemy.text",
            "sqlalchemy.sql.text",
            "sqlalchemy.sql.expression.text",
            "sqlalchemy.literal_column",
            "sqlalchemy.sql.literal_column",
            "sqlalchemy.sql.expression.literal_column",
            "sqlalchemy.text_",
            "sqlmodel.text",
            "django.db.models.expressions.RawSQL",
            "RawSQL",
            "peewee.SQL",
            "psycopg2.sql.SQL",
            "psycopg.sql.SQL",
            "pony.orm.raw_sql",
            "sqlalchemy.DDL",
            "sqlalchemy.schema.DDL",
            "sqlalchemy.sql.expression.literal_column",
            "tortoise.expressions.RawSQL",
            "flask_sqlalchemy.SQLAlchemy().text",
        ]
    },
    **_each(SQL, "pandas.read_sql pandas.read_sql_query pandas.io.sql.read_sql polars.read_database", (0,), ("sql",)),
    **_each(
        COMMAND,
        "os.system os.popen os.popen2 os.popen3 commands.getoutput commands.getstatusoutput subprocess.getoutput "
        "subprocess.getstatusoutput asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell "
        "popen2.popen2 popen2.popen3 popen2.popen4 pexpect.run pexpect.spawn fabric.Connection().run "
        "invoke.run invoke.Context().run fabric.api.run fabric.api.local fabric.api.sudo "
        "paramiko.SSHClient().exec_command paramiko.client.SSHClient().exec_command",
        (0,),
        ("command", "cmd"),
    ),
    **_each(CODE, "eval exec compile code.InteractiveInterpreter().runsource builtins.eval builtins.exec", (0,)),
    **_each(CODE, "importlib.import_module __import__ importlib.__import__ runpy.run_path", (0,), ("name",)),
    **_each(
        TEMPLATE,
        "jinja2.Template flask.render_template_string render_template_string jinja2.Environment().from_string "
        "mako.template.Template django.template.Template tornado.template.Template Template().x "
        "jinja2.sandbox.Environment().from_string flask.current_app.jinja_env.from_string bottle.template.x",
        (0,),
        ("source", "text", "template_string"),
    ),
    **_each(
        PATH,
        "open io.open codecs.open os.open os.remove os.unlink os.rmdir os.removedirs os.listdir os.scandir os.mkdir "
        "os.makedirs os.chmod os.truncate gzip.open bz2.open lzma.open tarfile.open zipfile.ZipFile "
        "shutil.rmtree aiofiles.open os.walk django.http.FileResponse.x starlette.responses.FileResponse "
        "fastapi.responses.FileResponse fastapi.FileResponse flask.send_file send_file quart.send_file "
        "aiohttp.web.FileResponse os.chdir linecache.getlines aiofiles.os.remove anyio.open_file sqlite3.connect.x",
        (0,),
        ("file", "path", "filename", "path_or_file", "filename_or_fp"),
    ),
    **_each(PATH, "bottle.static_file.x", ()),
    **_each(
        PATH,
        "shutil.copy shutil.copyfile shutil.copy2 shutil.move shutil.copytree os.rename os.replace os.link os.symlink",
        (0, 1),
        ("src", "dst"),
    ),
    **_each(
        SSRF,
        " ".join(
            f"{client}.{method}"
            for client in (
                "requests",
                "requests.Session()",
                "requests.session()",
                "requests.sessions.Session()",
                "requests.api",
                "httpx",
                "httpx.Client()",
                "httpx.AsyncClient()",
                "aiohttp.ClientSession()",
                "urllib3.PoolManager()",
                "cloudscraper.create_scraper()",
            )
            for method in ["get", "post", "put", "patch", "delete", "head", "options", "stream", "ws_connect"]
        ),
        (0,),
        ("url",),
    ),
    **_each(
        SSRF,
        " ".join(
            f"{client}.request"
            for client in [
                "requests",
                "requests.Session()",
                "httpx",
                "httpx.Client()",
                "httpx.AsyncClient()",
                "aiohttp.ClientSession()",
                "aiohttp",
                "urllib3.PoolManager()",
                "urllib3",
            ]
        ),
        (1,),
        ("url",),
    ),
    **_each(
        SSRF,
        "urllib.request.urlopen urllib.request.urlretrieve urllib.urlopen urllib2.urlopen "
        "urllib.urlretrieve http.client.HTTPConnection http.client.HTTPSConnection httplib.HTTPConnection "
        "wget.download tornado.httpclient.AsyncHTTPClient().fetch tornado.httpclient.HTTPClient().fetch pycurl.Curl().x "  # noqa: E501
        "urllib.request.build_opener().open pandas.read_html feedparser.parse socket.create_connection.x",
        (0,),
        ("url", "fullurl", "host"),
    ),
    **_each(
        REDIRECT,
        "flask.redirect redirect django.shortcuts.redirect django.http.HttpResponseRedirect HttpResponseRedirect "
        "django.http.HttpResponsePermanentRedirect starlette.responses.RedirectResponse bottle.redirect "
        "fastapi.responses.RedirectResponse fastapi.RedirectResponse werkzeug.utils.redirect quart.redirect "
        "aiohttp.web.HTTPFound aiohttp.web.HTTPSeeOther sanic.response.redirect werkzeug.redirect",
        (0,),
        ("location", "url", "to", "redirect_to"),
    ),
    **{
        word: Sink(XSS, (0,), ("content", "response", "base"), True)
        for word in [
            "markupsafe.Markup",
            "flask.Markup",
            "jinja2.Markup",
            "Markup",
            "django.utils.safestring.mark_safe",
            "mark_safe",
            "django.utils.safestring.SafeString",
            "django.utils.safestring.SafeText",
        ]
    },
    **_each(
        XSS,
        "flask.make_response flask.Response django.http.HttpResponse HttpResponse starlette.responses.HTMLResponse "
        "fastapi.responses.HTMLResponse quart.make_response werkzeug.wrappers.Response werkzeug.Response "
        "django.http.HttpResponseBadRequest django.http.HttpResponseNotFound django.http.HttpResponseForbidden "
        "sanic.response.html",
        (0,),
        ("content", "response"),
    ),
    **_each(
        PICKLE,
        "pickle.load pickle.loads cPickle.load cPickle.loads _pickle.loads _pickle.load dill.load dill.loads "
        "cloudpickle.load cloudpickle.loads marshal.load marshal.loads shelve.open jsonpickle.decode pickle.Unpickler "
        "jsonpickle.unpickler.decode pandas.read_pickle joblib.load yaml.unsafe_load yaml.full_load.x "
        "dill.Unpickler yaml.unsafe_load_all",
        (0,),
        ("data", "file", "filename"),
    ),
    **_each(
        XXE,
        "xml.etree.ElementTree.parse xml.etree.ElementTree.fromstring xml.etree.ElementTree.iterparse "
        "xml.etree.ElementTree.XML xml.etree.cElementTree.fromstring xml.etree.cElementTree.parse "
        "xml.dom.minidom.parseString xml.dom.minidom.parse xml.dom.pulldom.parseString xml.sax.parseString "
        "xml.sax.parse xml.dom.pulldom.parse lxml.etree.fromstring lxml.etree.parse lxml.etree.XML",
        (0,),
        ("source", "text", "string"),
    ),
}
"""Functions by name. Names that end in `.x` are kept out on purpose: they look like sinks and are none."""

SUBPROCESS = frozenset(
    [
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.Popen",
        "asyncio.create_subprocess_exec",
    ]
)
"""These are sinks with `shell=True`, or when they start a shell."""

EXECUTING = frozenset(
    ["execute", "executemany", "executescript", "exec_driver_sql", "execute_async", "execute_sql", "execute_query"]
)
"""Methods of database drivers whose first argument is SQL."""

FETCHING = frozenset(
    [
        "fetch",
        "fetchrow",
        "fetchval",
        "fetch_all",
        "fetch_one",
        "fetch_val",
        "iterate",
        "raw",
        "raw_sql",
        "execute_fetchall",
        "query_raw",
        "callproc.x",
        "read_sql_query",
        "scalars",
        "scalar",
        "executeraw",
        "execute_insert",
        "fetchall",
        "query",
        "copy_expert",
        "prepare",
        "stream",
        "cursor",
    ]
)
"""Methods that take SQL, beside much else: sinks when what they are given looks like SQL."""

CLAUSES: dict[str, tuple[str, ...]] = {"extra": ("where", "select", "tables", "order_by")}
"""Methods that take parts of SQL under these names."""

PATH_METHODS = frozenset(
    [
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "open",
        "unlink",
        "rmdir",
        "mkdir",
        "touch",
        "rename",
        "iterdir",
    ]
)
"""Methods of a `pathlib.Path` that touch the file."""

SAVING = frozenset(("save",))
"""Methods of an uploaded file that write it to their argument."""

SQL_TEXT = re.compile(
    r"(?is)^\W*(?:select|insert|update|delete|replace|merge|with|create|drop|alter|truncate|pragma|grant|revoke|call|"
    r"exec|explain|show|set|vacuum|attach|copy|lock|use|analyze|reindex|begin|declare|refresh|comment|notify|listen)\b|"
    r"\b(?:select\s.+\sfrom|from\s+\S+\s+where|order\s+by|group\s+by|where\s+\S+\s*(?:=|in|like|<|>)|values\s*\()"
)
"""Text that can only be SQL, or a piece of it."""

DATABASE_NAME = re.compile(
    r"(?i)(?:^|[._])(?:c|cur|curs|cursor|conn|connection|con|db|database|session|sess|engine|tx|trans|transaction|pool|"
    r"sql|sqlite|pg|mysql|postgres|dbapi|driver|cnx|cnxn|dbh|oracle|backend|bind|schema_editor)\d*(?:\(\))?$|cursor|"
    r"connect|session|database"
)
"""What people call connections and cursors."""

FIXED_HOST = re.compile(r"(?i)^[a-z][a-z0-9+.-]*://[^/?#\0@]+[/?#]")
"""Text whose host cannot be changed by what follows."""

FIXED_TARGET = re.compile(r"(?i)^(?:[a-z][a-z0-9+.-]*://[^/?#\0@]+[/?#]|/[^/\\\0]|[?#]|\w[^\0:/]*[/?#])")
"""A place to redirect to whose host cannot be changed by what follows."""
