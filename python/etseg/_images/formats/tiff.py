"""TIFF: the first directory, as far as it says what libtiff will make room for."""

from __future__ import annotations

from .exif import Directory
from .header import BadHeader, Header, View

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 277, 278, 322, 323, 339

#: None, the fax ones, LZW, JPEG, deflate, PackBits. Not those that carry files of another format.
_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
#: Grey either way, RGB, palette, CMYK, YCbCr, CIE L*a*b*. Not those of floating-point light.
_PHOTOMETRICS = {0, 1, 2, 3, 5, 6, 8}
_UNSIGNED, _UNDEFINED = 1, 4
_FEWEST = 4096  # strips or tiles that any image may have
_MAX_TILE = 1024  # on one side, or twice the image: a tile may be larger than what it shows


def read(view: View) -> Header:
    """The size, once it is clear that nothing else can make the decoder take more memory."""
    directory = Directory(view)
    for tag, entry in directory.entries().items():
        if entry.values > len(view):
            raise BadHeader(f"its tag {tag} has more values than the file has bytes")
    width, height = directory.number(_WIDTH, 0), directory.number(_HEIGHT, 0)
    if not width or not height:
        raise BadHeader
    _check_samples(directory)
    for what, known in ((_COMPRESSION, _COMPRESSIONS), (_PHOTOMETRIC, _PHOTOMETRICS)):
        if (number := directory.number(what, 1)) not in known:
            name = "compression" if what == _COMPRESSION else "photometric interpretation"
            raise BadHeader(f"a TIFF of the {name} {number}, which is not read")
    _check_pieces(directory, width, height)
    if directory.number(_ORIENTATION, 1) in range(5, 9):  # OpenCV turns the image upright
        height, width = width, height
    return Header("TIFF", height, width)


def _check_pieces(directory: Directory, width: int, height: int) -> None:
    """That strips and tiles are neither much larger than the image nor far too many.

    libtiff makes tables for each of them.
    """
    tile_width, tile_height = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_HEIGHT, 0)
    if tile_width > max(_MAX_TILE, 2 * width) or tile_height > max(_MAX_TILE, 2 * height):
        raise BadHeader("its tiles are much larger than the image")
    across = tile_width or width
    down = (tile_height or directory.number(_ROWS, height)) or height
    if -(-width // across) * -(-height // down) > _FEWEST + width * height // 64:
        raise BadHeader("its strips or tiles are far too many for its size")


def _check_samples(directory: Directory) -> None:
    if directory.number(_SAMPLES, 1) > 4:
        raise BadHeader("a TIFF of more than four channels")
    if any(kind not in (_UNSIGNED, _UNDEFINED) for kind in directory.numbers(_SAMPLE_FORMAT, 1)):
        raise BadHeader(
            "a TIFF of signed or floating-point values, which have no set range; convert it to "
            "unsigned ones as they are meant"
        )
    if any(bits > 16 for bits in directory.numbers(_BITS, 1)):
        raise BadHeader("a TIFF of more than 16 bits a channel; convert it to 8 or 16")
