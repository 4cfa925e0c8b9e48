"""The promise under every interleaving that a seed can think of: real code on simulated time, network and runners.

``python -m core.tests.simulation --help`` runs it for longer than the tests do.
"""
