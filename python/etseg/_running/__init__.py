"""Calls on threads: streams, event loops, and what happens at exit."""
