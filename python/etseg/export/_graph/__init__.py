"""From a torch module to a graph that is worth lowering: capture, fold, cut."""
