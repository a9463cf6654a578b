"""Packed weights in files: one copy for all instances and processes that use a program.

::

    <cache directory>/weights/.etseg                     the mark: this folder is ours
                              <name>-<key>.packed        the weights, always whole
                              <name>-<key>.packed.new    those that a process writes, or was writing
                              <name>-<key>.json          their checksum; read by use, newest last
                              <name>-<key>.lock          held while they are made
                              programs/<file>.json       the SHA-256 of a program, once computed

The key is a hash of all that the content depends on (key.py). What is not in every respect as it
was written is never mapped (checking.py), and made anew (making.py). Whatever goes wrong, the model
is loaded as without files, and the log says why (loading.py).
"""
