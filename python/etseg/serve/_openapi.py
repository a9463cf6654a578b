"""The description of the service, as OpenAPI 3.1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from etseg._native import __version__

from ._settings import Settings
from ._work import ENCODERS, FOREGROUNDS

_INTEGER = {"type": "integer"}
_STRING = {"type": "string"}
_EXAMPLE = {
    "schema": 1,
    "image": None,
    "model": "selfie-segmentation",
    "width": 512,
    "height": 512,
    "map_width": 512,
    "map_height": 512,
    "labels": [
        {
            "label": "SELFIE",
            "index": 0,
            "pixels": 144179,
            "share": 0.55,
            "mean_probability": None,
            "box": [0, 5, 512, 512],
            "rle": None,
        }
    ],
    "timings_ms": {
        "decode": 1.2, "preprocess": 0.1, "inference": 2.2, "postprocess": 0.3, "total": 3.8,
    },
}  # fmt: skip
_MODELS = {
    "type": "object",
    "properties": {
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": _STRING,
                    "input_size": {
                        "type": "array",
                        "items": _INTEGER,
                        "description": "height, width",
                    },
                    "labels": {"type": "array", "items": _STRING},
                    "licence": {"type": ["string", "null"]},
                    "in_catalogue": {"type": "boolean"},
                },
            },
        }
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
                },
                "example": {"url": "https://example.org/photo.jpg", "rle": True},
            },
        },
    }
    answers: dict[str, Any] = {media: {"schema": image} for media, _ in ENCODERS.values()}
    result = {"$ref": "#/components/schemas/result"}
    answers["application/json"] = {"schema": result, "example": _EXAMPLE}
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
                    "responses": {
                        "200": {
                            "description": "name, input size, labels, licence",
                            "content": {"application/json": {"schema": _MODELS}},
                        }
                    },
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
        "components": {"schemas": _schemas()},
    }


def _schemas() -> dict[str, Any]:
    """What a result is, as docs/json.md describes it, and what that is made of."""
    file = resources.files("etseg._results") / "result.schema.json"
    text = file.read_text(encoding="utf-8").replace("#/$defs/", "#/components/schemas/")
    result: dict[str, Any] = json.loads(text)
    del result["$schema"]
    return {**result.pop("$defs"), "result": result}


def _parameters(models: Sequence[str]) -> list[dict[str, Any]]:
    """In the query; a form or JSON may hold them too."""

    def query(name: str, text: str, **schema: Any) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": text, "schema": schema}

    return [
        query("model", "the first is the default", type="string", enum=list(models)),
        query("output", "default: by Accept, else json", type="string", enum=sorted(ENCODERS)),
        query("classes", "labels to list, or to return maps of, by commas", type="string"),
        query("label", "what output=cutout cuts out", type="string"),
        query(
            "foreground",
            "colours of a cutout's edges: estimated (the default), or the image's",
            type="string",
            enum=list(FOREGROUNDS),
        ),
        query("haze", "up to this probability nothing of a cutout shows", type="number"),
        query("rle", "whether JSON has run lengths", type="boolean"),
        query("mask", "whether JSON has the mask, mask_png in base64", type="boolean"),
    ]
