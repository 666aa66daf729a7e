"""All that lowlight computes. It reads no environment but torchrun's, and prints nothing but a report that is sent to
standard output.

From the bottom up, each importing only what stands before it, and the package's settings: ``errors``, ``files``,
``device``, ``pictures`` (files and pixels), ``metrics``, ``networks``, ``tiling``, ``checkpoints``, ``data`` (pairs of
pictures), and, side by side, ``enhancing`` and ``training``; ``evaluating`` stands on ``enhancing``.
"""
