"""What the benchmark programs share: images, models, peers in processes of their own, rounds."""
