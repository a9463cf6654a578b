"""What arguments of a result's methods may be; the modules that do it are imported when they do."""

from __future__ import annotations

from typing import Literal

#: What a result is saved as.
Kind = Literal["mask", "arrays", "json", "overlay", "colorize", "cutout"]

#: Whose colours what is cut out has where a pixel is of it in part.
Foreground = Literal["estimate", "image"]

#: Networks are hardly ever quite sure: up to this probability what is cut out is clear, and from
#: 1 less it on opaque. Else a tenth of a wall, or of another background, would show as a shimmer.
HAZE = 0.1
