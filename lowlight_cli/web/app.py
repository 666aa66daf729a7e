"""create_app: the routes of the page and of the API, their limits, and what every answer says about its safe use."""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from flask import Flask, Response, abort, jsonify, render_template, request, send_file
from PIL import Image
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from .. import __version__
from ..core.data.datasets import SAMPLES
from ..core.enhancing.enhancer import Enhancer
from ..core.enhancing.look import Look
from ..core.errors import LowlightError, OutOfMemoryError, PictureError
from ..core.pictures import images
from ..core.pictures.encoding import USUAL, encode
from ..settings import DEFAULT_MODEL, MODELS, ServeSettings
from . import answers, uploads
from .desk import Desk, FullError, GoneError, TooLongError
from .forms import DecomposeForm, EnhanceForm, Form, said

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=(), usb=()",
}
FORM = 64 << 10
"""Bytes that form fields and the separators between them may take beside the picture."""
PARTS = 20
"""Fields that a form may have, far more than there are."""


def create_app(settings: ServeSettings) -> Flask:
    """The application with its models loaded, each once. Raises CheckpointError if one cannot be."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=(settings.max_megabytes << 20) + FORM, MAX_FORM_PARTS=PARTS)
    own = {"localhost", "127.0.0.1", "[::1]", settings.host}
    if settings.public is not None:
        own.add(without_port(settings.public.partition("://")[2]))
    enhancers = loaded(settings)
    desk = Desk(settings.workers, settings.queue, settings.time_limit)
    samples = {path.name: path for path in sorted((SAMPLES / "photos").glob("*")) if path.suffix in images.WRITTEN}

    @app.get("/")
    def page() -> str:
        return render_template("index.html", version=__version__)

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok", version=__version__, **desk.counts())

    @app.get("/api/models")
    def models() -> Response:
        return jsonify(
            models=[{"name": name, "parameters": each.parameters} for name, each in enhancers.items()],
            limits={
                "megapixels": settings.max_megapixels,
                "megabytes": settings.max_megabytes,
                "seconds": settings.time_limit,
            },
            samples=list(samples),
        )

    @app.get("/samples/<name>")
    def sample(name: str) -> Response:
        if name not in samples:
            abort(404, "no such sample: GET /api/models lists them")
        return send_file(samples[name])

    @app.get("/api/progress/<name>")
    def progress(name: str) -> Response:
        return jsonify(desk.progress(name) or {"state": "unknown"})

    @app.post("/api/enhance")
    def enhance() -> Response:
        form, upload, enhancer = received(EnhanceForm)
        with desk.turn(request_name(), client_gone()) as turn:
            picture = uploads.read(upload.stream, settings.max_megapixels)
            kind = images.WRITTEN[f".{form.format}"] if form.format else images.kept_as(picture)
            look = Look(form.strength, form.denoise, form.protect_highlights, form.shadows)
            dtype = USUAL.dtype(kind, picture.samples.dtype)
            (result,) = turn.follow(enhancer.enhanced([picture], look, dtype=dtype))
            with answers.to_send() as file:
                encode(file, result, kind)
        return answers.sent(file, Image.MIME[kind], f"enhanced{answers.SUFFIX[kind]}")

    @app.post("/api/decompose")
    def decompose() -> Response:
        form, upload, enhancer = received(DecomposeForm)
        with desk.turn(request_name(), client_gone()) as turn:
            picture = uploads.read(upload.stream, settings.max_megapixels)
            maps = turn.follow(enhancer.decomposed(picture, Look(denoise=form.denoise), dtype=torch.uint8))
            with answers.to_send() as file:
                if request.accept_mimetypes.best_match(["application/zip", answers.MULTIPART]) == answers.MULTIPART:
                    about = answers.facts(picture, form.denoise)
                    mimetype = answers.multipart(file, about, {"low": answers.seen(picture), **maps})
                    return answers.sent(file, mimetype)
                answers.zipped(file, picture, maps)
        return answers.sent(file, "application/zip", "maps.zip")

    def received(kind: type[Form]) -> tuple[Form, FileStorage, Enhancer]:
        """The fields, the picture and the model of a request, or an answer that says what is wrong with them."""
        desk.refuse_if_full()
        upload = uploads.found(request)
        if request.args:
            abort(400, f"{uploads.short(next(iter(request.args)))} in the address: send it as a field of the form")
        twice = [name for name, values in request.form.lists() if len(values) > 1]
        if twice:
            abort(400, f"field {uploads.short(twice[0])}: given more than once")
        try:
            form = kind.model_validate(request.form.to_dict())
        except ValidationError as error:
            abort(400, said(error.errors()[0], kind))
        name = form.model or next(iter(enhancers))
        if name not in enhancers:
            abort(400, f"no model {uploads.short(name)} is served: there are {', '.join(enhancers)}")
        return form, upload, enhancers[name]

    @app.before_request
    def asked_by_name() -> None:
        if settings.loopback and without_port(request.host) not in own:
            # a page elsewhere whose name is pointed here must not reach the API
            abort(400, "the header Host names another server or none: ask for this server as localhost or 127.0.0.1")

    @app.before_request
    def same_origin() -> None:
        origin = request.headers.get("Origin")
        if request.method == "GET" or origin in (None, settings.public):
            return
        if origin.partition("://")[2] != request.host:
            abort(403, "requests from pages of other sites are refused")

    @app.after_request
    def careful(response: Response) -> Response:
        response.headers.update(HEADERS)
        response.headers["Cache-Control"] = "no-cache" if request.method == "GET" else "no-store"
        return response

    answer_errors(app, settings)
    return app


def without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host)


def loaded(settings: ServeSettings) -> dict[str, Enhancer]:
    """The models to serve by name, the default first."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    names = settings.model or tuple(sorted(MODELS, key=lambda name: name != DEFAULT_MODEL))
    enhancers = {Path(name).stem: Enhancer(name, settings.device) for name in names}
    if len(enhancers) < len(names):
        raise LowlightError(f"two models of one name among {', '.join(names)}: rename a file")
    return enhancers


def answer_errors(app: Flask, settings: ServeSettings) -> None:
    """Every failure becomes JSON with a sentence."""

    def answer(status: int, sentence: str) -> Response:
        response = jsonify(error=sentence)
        response.status_code = status
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        sentence = error.description or error.name
        if sentence == NotFound.description:
            sentence = "nothing is there: the API has /api/enhance, /api/decompose, /api/models and /healthz"
        if sentence == RequestEntityTooLarge.description:
            sentence = (
                f"too many fields in the form, more than {PARTS}, or too long a text in one: "
                f"send each field once, and the picture as a file, {uploads.CURL}"
            )
            if (request.content_length or 0) > app.config["MAX_CONTENT_LENGTH"]:
                sentence = f"more than the {settings.max_megabytes} MB that are allowed here: send a smaller file"
        response = answer(error.code or 500, sentence)
        if error.code == 405:
            response.headers.update(error.get_headers()[1:])  # what is allowed
        return response

    @app.errorhandler(FullError)
    def full(error: FullError) -> Response:
        response = answer(503, f"too many pictures are waiting: try again in {error.seconds} s")
        response.headers["Retry-After"] = str(error.seconds)
        return response

    @app.errorhandler(TooLongError)
    def too_long(_: TooLongError) -> Response:
        return answer(504, f"this took longer than {settings.time_limit:g} s: send a smaller picture")

    @app.errorhandler(GoneError)
    def gone(_: GoneError) -> Response:
        return answer(499, "the client hung up")

    @app.errorhandler(OutOfMemoryError)
    def too_large(_: OutOfMemoryError) -> Response:
        return answer(507, "not enough memory here for this picture: send a smaller one, or come again")

    @app.errorhandler(LowlightError)
    def failed(error: LowlightError) -> Response:
        return answer(422 if isinstance(error, PictureError) else 500, str(error))

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        app.logger.exception("%s %s failed", request.method, request.path)
        return answer(500, "something broke here, and has been logged; the picture is gone from the server")


def request_name() -> str:
    """The name under which the client wants to ask for progress."""
    name = request.headers.get("X-Request-Id", "")
    return name if re.fullmatch(r"[0-9A-Za-z-]{8,64}", name) else ""


def client_gone() -> Callable[[], bool]:
    """Tells, from any thread, whether this request's connection has been closed at the other end."""
    hung_up: Callable[[], bool] | None = request.environ.get("waitress.client_disconnected")
    return hung_up or (lambda: False)
