"""Write, or check, every generated file of the Python side: CRD, OpenAPI, chart, and the tables of READMEs.

`make generate` calls it with --write and then lets openapi-typescript write the TypeScript types; a test of
`make test` calls `stale_files`, so that a forgotten `make generate` is an error with a name.
"""

import argparse
import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import msgspec
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings

import taskdoc
from chartgen import files as chart
from repack_contract.reasons import REASONS, Retry
from repack_contract.schema import generated_files as contract_files
from repack_dashboard.openapi import text as openapi_text
from repack_dashboard.settings import Settings as DashboardSettings
from repack_local.arguments import parser
from repack_local.settings import Settings as LocalSettings
from repack_operator.settings import Settings as OperatorSettings
from repack_worker.settings import PREFIX
from repack_worker.settings import Settings as WorkerSettings

ROOT = Path(__file__).resolve().parents[1]

SETTINGS: dict[str, type[BaseSettings | msgspec.Struct]] = {
    "Worker and command line": WorkerSettings,
    "Operator": OperatorSettings,
    "Dashboard": DashboardSettings,
    "Embedded mode": LocalSettings,
}

MAX_DEFAULT = 60
"""Longest default, in characters, that a table shows."""

RETRY_WORDS = {Retry.YES: "yes", Retry.NO: "no", Retry.ONCE: "once", Retry.WAIT: "waits"}


def reasons_table() -> str:
    """Return the Markdown table of all reasons."""
    rows = ["| reason | class | exit code | tried again | when | what to do |", "|---|---|---|---|---|---|"]
    rows += [
        f"| `{reason}` | {facts.failure_class} | {facts.exit_code or '–'} | {RETRY_WORDS[facts.retry]} "
        f"| {facts.meaning} | {facts.hint} |"
        for reason, facts in REASONS.items()
    ]
    return "\n".join(rows)


def settings_tables() -> str:
    """Return a Markdown table of the environment variables of each program."""
    return "\n\n".join(f"**{title}**\n\n{_settings_table(model)}" for title, model in SETTINGS.items())


def _settings_table(model: type[BaseSettings | msgspec.Struct]) -> str:
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for variable, default, description in _of_pydantic(model) if issubclass(model, BaseSettings) else _of_values(model):
        meaning = " ".join(description.split()).replace("|", "\\|")
        rows.append(f"| `{variable}` | {default} | {meaning} |")
    return "\n".join(rows)


def _of_pydantic(model: type[BaseSettings]) -> Iterator[tuple[str, str, str]]:
    """Yield the variable, the default and the meaning of each setting."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        prefixed = f"{model.model_config.get('env_prefix', '')}{name}".upper()
        variable = alias if isinstance(alias, str) else prefixed
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        yield variable, default, field.description or ""


def _of_values(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Yield the same of the worker's settings, which are no model of pydantic."""
    described, defaults = docstrings_of(kind), kind()
    for name in kind.__struct_fields__:
        yield f"{PREFIX}{name}".upper(), _default(getattr(defaults, name)), described.get(name, "")


def docstrings_of(kind: type) -> dict[str, str]:
    """Return the string that stands below each field of a class, from its source."""
    (body,) = [node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef)]
    return {
        field.target.id: str(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _default(value: object) -> str:
    if value is None or value in ("", [], {}, ()):
        return "–"
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        return f"`{value.name}` in the package"
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        return f"`~/{value.relative_to(Path.home())}`"
    written = TypeAdapter(type(value)).dump_json(value).decode().strip('"')
    return f"`{written}`" if len(written) < MAX_DEFAULT else "see the code"


def cli_section() -> str:
    """Return the commands with their options, from the parser: argparse's own text differs between Pythons."""
    commands = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return "\n\n".join(_command_section(name, command) for name, command in commands.choices.items())


def _command_section(name: str, command: argparse.ArgumentParser) -> str:
    actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
    places = [action for action in actions if not action.option_strings]
    words = [f"[{it.dest.upper()}]" if it.nargs == "?" else it.dest.upper() for it in places]
    usage = " ".join(["dify-repack", name, *words, *(["[options]"] if len(actions) > len(words) else [])])
    rows = [f"| {_written(action)} | {(action.help or '').replace('|', chr(92) + '|')} |" for action in actions]
    table = ["", "| | |", "|---|---|", *rows] if rows else []
    epilog = ["", "```text", command.epilog.strip(), "```"] if command.epilog else []
    return "\n".join([f"### `{usage}`", "", str(command.description), *table, *epilog])


def _written(action: argparse.Action) -> str:
    """Return an option as it is written, with its value."""
    choices = [str(choice.value if isinstance(choice, Enum) else choice) for choice in action.choices or ()]
    value = action.metavar or ("{" + ",".join(choices) + "}" if choices else action.dest.upper())
    names = [f"`{name}`" for name in action.option_strings] or [f"`{value}`"]
    takes_value = action.option_strings and action.nargs != 0
    return ", ".join(names) + (f" `{value}`" if takes_value else "")


def between_markers(text: str, name: str, content: str) -> str:
    """Return `text` with what stands between the two markers of `name` replaced; an error when they are missing."""
    start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise SystemExit(f"the markers {start} and {end} are missing")
    return f"{before}{start}\n{content}\n{end}{after}"


def generated_files() -> dict[Path, str]:
    """Return every generated file with the content that it should have."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = between_markers(text, "reasons", reasons_table())
    text = between_markers(text, "settings", settings_tables())
    cli = ROOT / "docs" / "cli.md"
    task = ROOT / "docs" / "task.md"
    fields = task.read_text(encoding="utf-8")
    for part in ("spec", "status"):
        fields = between_markers(fields, part, taskdoc.fields_table(part))
    fields = between_markers(fields, "conditions", taskdoc.conditions_table())
    fields = between_markers(fields, "rules", taskdoc.rules_list())
    chart_readme = ROOT / chart.CHART / "README.md"
    return {
        cli: between_markers(cli.read_text(encoding="utf-8"), "cli", cli_section()),
        **contract_files(ROOT),
        **chart.files(ROOT),
        chart_readme: between_markers(chart_readme.read_text(encoding="utf-8"), "values", chart.table()),
        ROOT / "dashboard/web/src/api/openapi.json": openapi_text(),
        readme: text,
        task: fields,
    }


def stale_files() -> list[Path]:
    """Return the generated files that differ from what they should be."""
    return [
        path
        for path, content in generated_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def main() -> int:
    """Write the stale files, or with --check name them and answer 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true")
    group.add_argument("--check", action="store_true")
    options = parser.parse_args()
    stale = stale_files()
    if options.write:
        for path, content in generated_files().items():
            if path in stale:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
    for path in stale:
        sys.stdout.write(f"{'written' if options.write else 'stale'}: {path.relative_to(ROOT)}\n")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
