from pathlib import Path


def write_report(result, directory):
    pass
