"""The networks, their training, and pictures in and out. Prints nothing, exits never, reads no environment.

Import what you need from its modules: ``enhancer``, ``engine``, ``evaluation``, ``datasets``, ``images`` ...
"""
