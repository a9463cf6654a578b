"""Whether the program computes what the network does, and how fast."""
