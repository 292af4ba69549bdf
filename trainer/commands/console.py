"""What is told on the console, and how."""

import re
import sys


def console(quiet: bool = False) -> None:
    """Log to the console without breaking progress bars; quiet leaves warnings and errors."""
    from loguru import logger
    from tqdm import tqdm

    logger.remove()
    logger.configure(patcher=lambda record: record.update({"message": shown(record["message"])}))
    logger.add(
        lambda text: tqdm.write(text, file=sys.stderr, end=""),
        format="<dim>{time:HH:mm:ss}</dim> <level>{message}</level>",
        level="WARNING" if quiet else "INFO",
        colorize=sys.stderr.isatty(),
    )


def shown(text: str) -> str:
    """The text with a ? for what a terminal would obey: names of files and in them may hold anything."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def explain(error: Exception) -> str:
    """An error in the user's words: a system's without number, a loader process's without traceback."""
    text = str(error).strip()
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror.lower()}"
    if "in DataLoader worker process" in text:
        text = text.splitlines()[-1].partition(": ")[2]
    return shown(text)


def explain_memory(error: RuntimeError) -> str | None:
    """What to do where memory ran out; None of another error."""
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        return (
            "the GPU's memory is too small; lower data.batch_size or validate.batch_size, or data.crop_rows"
        )
    if re.search(r"DataLoader worker.*(is killed by signal|exited unexpectedly)", str(error), re.DOTALL):
        from trainer.feed import LOST_READER

        return LOST_READER
    return None
