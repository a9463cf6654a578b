"""The description of the service, as OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etseg._native import __version__

from ._settings import Settings
from ._work import ENCODERS

_NUMBER = {"type": "number"}
_INTEGER = {"type": "integer"}
_STRING = {"type": "string"}
_SIZE = {"type": "object", "properties": {"height": _INTEGER, "width": _INTEGER}}

_RESULT = {
    "type": "object",
    "properties": {
        "model": _STRING,
        "size": {**_SIZE, "description": "of the image, upright"},
        "labels": {
            "type": "array",
            "description": "those that some pixel of the image has",
            "items": {
                "type": "object",
                "properties": {
                    "label": _STRING,
                    "index": {**_INTEGER, "description": "the value in masks"},
                    "pixels": _INTEGER,
                    "share": {**_NUMBER, "description": "of all pixels, 0..1"},
                    "box": {
                        "type": "array",
                        "items": _INTEGER,
                        "description": "x0, y0, x1, y1, half-open",
                    },
                    "rle": {
                        "type": "object",
                        "description": "COCO's run lengths, with rle=true",
                        "properties": {
                            "size": {"type": "array", "items": _INTEGER},
                            "counts": _STRING,
                        },
                    },
                },
            },
        },
        "timings_ms": {"type": "object", "additionalProperties": _NUMBER},
    },
    "example": {
        "model": "selfie-segmentation",
        "size": {"height": 4, "width": 4},
        "labels": [
            {
                "label": "SELFIE",
                "index": 0,
                "pixels": 144179,
                "share": 0.55,
                "box": [0, 5, 512, 512],
            }
        ],
        "timings_ms": {"decode": 1.2, "preprocess": 0.1, "inference": 2.2, "postprocess": 0.3},
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; code and name are those of etseg.ErrorCode, where it is one of them",
    "properties": {
        "type": _STRING,
        "title": _STRING,
        "status": _INTEGER,
        "detail": _STRING,
        "code": _INTEGER,
        "name": _STRING,
    },
}
_STATUSES = {
    400: "an option or the body is not as it should be",
    403: "an image by URL, where that is not allowed, or not public",
    404: "there is no such model",
    406: "no media type that was asked for can be had",
    408: "the body did not arrive in time",
    413: "the body is too large",
    422: "the image cannot be read, or has too many pixels",
    502: "the URL cannot be read",
    503: "too many requests wait, or this one waited too long; see Retry-After",
}


def description(models: Sequence[str], settings: Settings) -> dict[str, Any]:
    """What ``GET /openapi.json`` answers."""
    problems = {
        str(status): {
            "description": text,
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        }
        for status, text in _STATUSES.items()
    }
    image: dict[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
    body = {
        "required": True,
        "description": f"an image of at most {settings.max_body_bytes} bytes",
        "content": {
            "application/octet-stream": {"schema": image},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"image": image}}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {**_STRING, "description": "base64, or a data URI"},
                        "url": {**_STRING, "description": "instead, where it is allowed"},
                    },
                }
            },
        },
    }
    answers: dict[str, Any] = {media: {"schema": image} for media, _ in ENCODERS.values()}
    answers["application/json"] = {"schema": _RESULT}
    return {
        "openapi": "3.1.0",
        "info": {"title": "etseg", "version": __version__, "description": "Semantic segmentation"},
        "paths": {
            "/v1/segment": {
                "post": {
                    "summary": "Segment an image",
                    "parameters": _parameters(models),
                    "requestBody": body,
                    "responses": {
                        "200": {"description": "as output says", "content": answers},
                        **problems,
                    },
                }
            },
            "/v1/models": {
                "get": {
                    "summary": "The models that there are",
                    "responses": {"200": {"description": "name, input size, labels, licence"}},
                }
            },
            **{
                path: {"get": {"summary": summary, "responses": {"200": {"description": summary}}}}
                for path, summary in (
                    ("/healthz", "the process answers"),
                    ("/readyz", "the models are loaded"),
                    ("/metrics", "for Prometheus"),
                )
            },
        },
    }


def _parameters(models: Sequence[str]) -> list[dict[str, Any]]:
    """In the query; a form or JSON may hold them too."""

    def query(name: str, text: str, **schema: Any) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": text, "schema": schema}

    return [
        query("model", "the first is the default", type="string", enum=list(models)),
        query("output", "default: by Accept, else json", type="string", enum=sorted(ENCODERS)),
        query("classes", "labels to list, or to return maps of, by commas", type="string"),
        query("label", "what output=cutout cuts out", type="string"),
        query("rle", "whether JSON has run lengths", type="boolean"),
        query("mask", "whether JSON has the mask, mask_png in base64", type="boolean"),
    ]
