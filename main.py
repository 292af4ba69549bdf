"""The only entry: `python main.py COMMAND --help` tells the rest."""

import argparse
import sys

from trainer.commands import (
    Command,
    benchmark,
    calibrate,
    check,
    compare,
    import_,
    reconstruct,
    report,
    simulate,
    train,
    validate,
)
from trainer.commands.console import explain, explain_memory

COMMANDS: dict[str, Command] = {
    "simulate": simulate,
    "import": import_,
    "check": check,
    "train": train,
    "validate": validate,
    "calibrate": calibrate,
    "reconstruct": reconstruct,
    "compare": compare,
    "report": report,
    "benchmark": benchmark,
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; argparse itself ends with exit code 2 on a wrong one."""
    parser = argparse.ArgumentParser(prog="main.py", description="Extreme accelerated MRI, x4 to x32.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        assert command.__doc__
        about = command.__doc__.splitlines()[0]
        sub = subparsers.add_parser(
            name,
            help=about.removesuffix("."),
            description=about,
            epilog="\n".join(["examples:", *(f"  python main.py {example}" for example in command.EXAMPLES)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
    if arguments and arguments[0] in COMMANDS:  # options may stand between positional arguments
        chosen = subparsers.choices[arguments[0]]
        return chosen.parse_intermixed_args(arguments[1:], argparse.Namespace(command=arguments[0]))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run one command; gives the exit code: 2 for what the user can mend, told without a traceback."""
    options = vars(parse(arguments))
    command = COMMANDS[options.pop("command")]
    try:
        return command.run(**options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"error: {error}; pip install -r requirements.txt, or use .venv/bin/python", file=sys.stderr)
        return 2
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        advice = explain_memory(error)
        if advice is None:
            raise
        print(f"error: {advice}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
