"""The networks, their training, and pictures in and out. Reads no settings from the environment, prints
nothing but a report that is sent to standard output, and exits only in torchrun's processes besides the first.

Import what you need from its modules: ``enhancer``, ``engine``, ``evaluation``, ``datasets``, ``images`` ...
"""
