"""`etseg segment`: from its arguments to files, figures and words."""
