"""The failures that a user can cause and mend. The command line prints each as one line and exits with 1."""


class LowlightError(Exception):
    """Something that the message explains, with the remedy in it."""


class PictureError(LowlightError):
    """A picture that cannot be read or written."""


class FullDiskError(PictureError):
    """A disk without room, so that what comes after cannot be written either."""


class SaidElsewhere(Exception):  # noqa: N818  (not an error of this process)
    """Another of the processes that train together says why they end."""


class OutOfMemoryError(LowlightError):
    """More than the device has room for."""


class CheckpointError(LowlightError):
    """A model that is unknown, damaged or of another kind."""


class DatasetError(LowlightError):
    """Pairs that are missing, unpaired or unfit."""


class DownloadError(LowlightError):
    """A data set that could not be fetched, verified or unpacked."""


class TrainingError(LowlightError):
    """A training run that cannot start or go on."""
