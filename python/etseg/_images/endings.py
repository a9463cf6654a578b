"""The endings of image files: nothing is opened to find out what a folder holds."""

#: Of the files that are taken from folders. What is named itself may have any ending, or none.
IMAGE_ENDINGS = frozenset([
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
    ".avif", ".jp2", ".j2k", ".j2c", ".jpc", ".pnm", ".ppm", ".pgm", ".pbm",
])  # fmt: skip
