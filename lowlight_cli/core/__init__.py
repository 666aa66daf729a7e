"""All that lowlight computes. No part of it prints, reads the environment, or knows of a terminal or a browser.

From the bottom up, each importing only what stands before it: ``errors``, ``files``, ``device``, ``pictures`` (files
and pixels), ``metrics``, ``networks``, ``tiling``, ``checkpoints``, ``data`` (pairs of pictures), and, side by side,
``enhancing`` and ``training``; ``evaluating`` stands on ``enhancing``.
"""
