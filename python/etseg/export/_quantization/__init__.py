"""From a graph in float32 to one whose layers compute in int8."""
