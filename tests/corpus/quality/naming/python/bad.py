"""A module."""


def readFile(path):  # expect: naming
    """Read."""
    return path


class file_reader:  # expect: naming
    """A reader."""

    def readAll(self):  # expect: naming
        """Read."""
        return 1

    def read(self, fileName):  # expect: naming
        """Read."""
        return fileName
