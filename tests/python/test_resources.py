"""Sources of models, the catalogue, etseg.resources and the commands about files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import etseg
from etseg import CATALOGUE, DeeplabLabel, ImageSegmentationModule, resources
from etseg._cli import main
from etseg._model.catalogue import APPROXIMATE_SIZES
from http_server import Fault, Server

pytestmark = pytest.mark.usefixtures("cache")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture
def deeplab(shared: Path) -> Path:
    """A program with 21 channels."""
    return shared / "models" / "deeplabv3_mnv2_dm05_pascal_513_xnnpack_int8.pte"


def normalisation(source: object, **fields: object) -> tuple[object, object]:
    """What a module makes of a source."""
    with ImageSegmentationModule() as module:
        module.load({"model_source": source, **fields})
        return module.spec.mean, module.spec.std


# Sources.


def test_sources_of_every_kind(server: Server, tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "a model #1 é.pte"
    path.write_bytes(program)
    for source in (
        etseg.SELFIE_SEGMENTATION,
        {"model_source": str(path)},
        path,
        str(path),
        path.as_uri(),
        f"file://{path}",
        "bundled:selfie_segmentation_xnnpack_fp32.pte",
        server.add("/model.pte", program),
    ):
        progress: list[float] = []
        with ImageSegmentationModule() as module:
            module.load(source, progress.append)
            assert module.labels is etseg.SelfieSegmentationLabel
        assert progress[-1] == 1.0


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("", etseg.InvalidModelSourceError, "empty"),
        ("ftp://127.0.0.1/m.pte", etseg.InvalidModelSourceError, "scheme 'ftp'"),
        ("s3://bucket/m.pte", etseg.InvalidModelSourceError, "scheme 's3'"),
        ("bundled:nothing.pte", etseg.InvalidModelSourceError, "there are"),
        ("http://", etseg.InvalidModelSourceError, "names no host"),
        ("no/such/file.pte", etseg.FileMissingError, "no such file"),
        (".", etseg.FileReadError, "it is a directory"),
        ("a\0b", etseg.FileReadError, "cannot read the model"),
        ("n" * 5000, etseg.FileReadError, "cannot read the model"),
        ("fcn-resnet60", etseg.FileMissingError, "did you mean 'fcn-resnet50' or"),
        (17, etseg.InvalidModelSourceError, "17"),
        (None, etseg.InvalidModelSourceError, "None"),
    ],
)
def test_sources_of_no_kind(source: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ImageSegmentationModule().load(source)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        resources.fetch(source)  # type: ignore[arg-type]


# The catalogue.


def test_the_catalogue_is_complete(shared: Path) -> None:
    published = json.loads((shared / "catalogue.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in published["models"]] == list(CATALOGUE)
    # The list is of release 0.9; 0.10 has the same files.
    pattern = published["url_pattern"].replace("/v0.9.0/", "/v0.10.0/")
    for model in published["models"]:
        spec = CATALOGUE[model["name"]]
        assert getattr(etseg, model["constant"]) is spec
        assert spec.labels is getattr(etseg, model["labels"])
        assert (spec.mean, spec.std) == (IMAGENET if model["norm"] == "imagenet" else PLAIN)
        if "embedded" in model:
            assert spec.model_source == f"bundled:{model['embedded']}"
        else:
            assert spec.model_source == pattern.format(base_url=published["base_url"], **model)
        assert APPROXIMATE_SIZES[spec.name] / 1e6 == pytest.approx(model["size_mb"], rel=0.02)


def test_every_model_of_the_catalogue_is_a_constant() -> None:
    for name, spec in CATALOGUE.items():
        assert spec.name == name
        assert getattr(etseg, name.upper().replace("-", "_")) is spec
    assert APPROXIMATE_SIZES.keys() == CATALOGUE.keys()


def test_a_published_file_brings_its_normalisation(
    server: Server, tmp_path: Path, deeplab: Path
) -> None:
    published = tmp_path / "deeplab_v3_resnet50_xnnpack_fp32.pte"
    shutil.copy(deeplab, published)
    assert normalisation(deeplab) == PLAIN
    assert normalisation(published) == IMAGENET
    assert normalisation(published.as_uri()) == IMAGENET
    assert normalisation(published, mean=PLAIN[0], std=PLAIN[1]) == PLAIN
    assert normalisation(published, labels=[f"c{i}" for i in range(21)]) == IMAGENET
    path = "/resolve/v0.10.0/xnnpack/fcn_resnet50_xnnpack_fp32.pte?download=true"
    url = server.add(path, deeplab.read_bytes())
    assert normalisation(url) == IMAGENET


def test_the_file_of_release_0_7_has_no_normalisation(
    server: Server, deeplab: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/resolve/v0.7.0/xnnpack/deeplabV3_xnnpack_fp32.pte"
    assert normalisation(server.add(path, deeplab.read_bytes())) == PLAIN
    with ImageSegmentationModule() as module, caplog.at_level("INFO", "etseg"):
        module.load(server.url(path))
        assert module.spec.name == "deeplab-v3-release-0.7"
        assert module.labels is DeeplabLabel
    assert "known by its file name" in caplog.text


def test_another_program_of_a_published_name_is_another_program(
    tmp_path: Path, program: bytes
) -> None:
    path = tmp_path / "deeplab_v3_resnet50_xnnpack_fp32.pte"
    path.write_bytes(program)
    assert normalisation(path) == PLAIN


def test_from_model_name() -> None:
    progress: list[float] = []
    with ImageSegmentationModule.from_model_name(
        "selfie-segmentation", progress.append, argmax_dtype="uint8"
    ) as module:
        assert module.spec.name == "selfie-segmentation"
        module.warmup()
    assert progress == [1.0]
    with pytest.raises(etseg.InvalidModelSourceError, match="'selfie'; there are deeplab-v3"):
        ImageSegmentationModule.from_model_name("selfie")


def test_from_custom_model(server: Server, program: bytes) -> None:
    progress: list[float] = []
    with ImageSegmentationModule.from_custom_model(
        server.add("/model.pte", program),
        labels=["ME", "REST"],
        mean=[0.1, 0.2, 0.3],
        std=[0.4, 0.5, 0.6],
        activation="none",
        on_download_progress_callback=progress.append,
    ) as module:
        assert [label.name for label in module.labels] == ["ME", "REST", "ARGMAX"]
        assert (module.spec.mean, module.spec.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
        module.warmup()
    assert progress[-1] == 1.0
    with pytest.raises(etseg.InvalidConfigError, match="nonsense"):
        ImageSegmentationModule.from_custom_model("model.pte", nonsense=1)  # type: ignore[call-arg]


# etseg.resources.


def test_fetches_local_files(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "model.pte"
    path.write_bytes(program)
    assert resources.fetch(path) == path
    assert resources.fetch(etseg.SELFIE_SEGMENTATION).read_bytes() == program


def test_sizes(server: Server, program: bytes) -> None:
    here, there = server.add("/here.pte", program), server.add("/there.pte", bytes(1000))
    resources.fetch(here)
    del server.requests[:]
    size = resources.get_files_total_size(here, there, etseg.SELFIE_SEGMENTATION)
    assert size == 2 * len(program) + 1000
    assert [request.method for request in server.requests] == ["HEAD"]
    with pytest.raises(etseg.DownloadError, match="answered 404"):
        resources.get_files_total_size(server.url("/nothing"))
    chunked = server.add("/chunked", b"x", chunked=True)
    with pytest.raises(etseg.DownloadError, match="does not say"):
        resources.get_files_total_size(chunked)
    assert resources.get_files_total_size() == 0


# Commands.


def run(*arguments: str, status: int = 0, stdin: str = "") -> Result:
    result = CliRunner().invoke(main, arguments, input=stdin)
    assert result.exit_code == status, result.output
    return result


def test_command_fetch(server: Server, program: bytes) -> None:
    url = server.add("/model.pte", program)
    path = Path(run("fetch", url).stdout.strip())
    assert path.read_bytes() == program
    assert Path(run("fetch", "selfie-segmentation").stdout.strip()).read_bytes() == program
    assert "known: deeplab-v3-resnet50" in run("fetch", "no-model", status=2).stderr
    missing = run("fetch", server.url("/nothing"), status=1)
    assert "answered 404" in missing.stderr
    assert missing.stdout == ""


def test_command_cache(server: Server, cache: Path, program: bytes) -> None:
    assert run("cache", "path").stdout.strip() == str(cache)
    assert run("cache", "list").stdout == ""
    first, second = (server.add(f"/{name}.pte", program) for name in "ab")
    run("fetch", first)
    run("fetch", second)
    assert [line.split()[3] for line in run("cache", "list").stdout.splitlines()] == [first, second]
    assert "474 kB" in run("cache", "clear", first).stdout
    assert [model.url for model in resources.list_downloaded_models()] == [second]
    run("cache", "clear", stdin="n\n", status=1)
    assert [model.url for model in resources.list_downloaded_models()] == [second]
    run("cache", "clear", stdin="y\n")
    assert resources.list_downloaded_models() == []
    server.files["/a.pte"].always = Fault(cut=0.1)
    server.files["/a.pte"].ranges = False
    run("fetch", first, status=1)
    assert list(cache.rglob("partial"))
    run("cache", "clear", "--yes")
    assert not list(cache.rglob("partial"))


def test_command_cache_clear_leaves_what_is_not_its_own(
    server: Server, cache: Path, program: bytes
) -> None:
    url = server.add("/a.pte", program)
    run("fetch", url)
    weights = cache / "models" / "resnet" / "weights.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"a project's")
    (cache / "models" / "link").symlink_to(weights.parent, target_is_directory=True)
    freed = json.loads(run("cache", "clear", "--yes", "--json").stdout)["freed"]
    assert len(program) < freed < len(program) + 2000
    assert weights.read_bytes() == b"a project's"
    assert json.loads(run("cache", "clear", "--yes", "--json").stdout) == {"freed": 0}


def test_command_models(server: Server, program: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(etseg.FCN_RESNET50, model_source=server.add("/fcn.pte", program))
    monkeypatch.setitem(CATALOGUE, "fcn-resnet50", spec)
    resources.fetch(spec)
    lines = {line.split()[0]: line for line in run("models").stdout.splitlines()}
    assert lines.keys() == CATALOGUE.keys()
    assert lines["fcn-resnet50"].split()[1:] == ["141", "MB", "21", "classes", "cached"]
    assert lines["fcn-resnet101"].endswith("not downloaded")
    assert lines["selfie-segmentation"].endswith("474 kB   2 classes  in the package")


def test_command_segment_with_a_url(server: Server, photo_path: Path, program: bytes) -> None:
    url = server.add("/model.pte", program)
    assert "PERSON" in run("segment", str(photo_path), "--model", url).stdout
