"""From a URL to bytes or to a file of the cache: http, fetch, cache."""
