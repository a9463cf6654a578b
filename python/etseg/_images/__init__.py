"""From what a caller calls an image to upright pixels: source, decode, header."""
