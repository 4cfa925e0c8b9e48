"""`fernamt menu`: what an author does with a menu."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from fernamt.cli.menus.binding import bound
from fernamt.cli.menus.finding import found_menu, is_file
from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, FAILED, Failure

if TYPE_CHECKING:
    from fernamt.menus import BuiltMenu
    from fernamt.menus.linting import Flaw
    from fernamt.settings import Mistake
    from fernamt.testing import Call, Coverage, Played

Lack = Literal["transfer", "record", "speech"]
_CALLS: Final = ".calls.toml"


def check_menu(
    menu: str,
    /,
    *,
    without: Annotated[tuple[Lack, ...], Parameter(name="--without")] = (),
    written: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Look for every fault of a menu.

    That it can run at all; that every node can be reached and every outcome leads on; that nobody walks in circles uncounted;
    that every language is complete; that a person can be reached; and what the channels cannot do that the configuration binds to it.

    Example: fernamt menu check reception.toml

    Args:
        menu: A file, or a plugin's menu by its name, for instance voice_ivr.reception.
        without: What another channel lacks that it is meant for: transfer, record or speech. May be given several times.
        written: It is meant for a channel that is read, too: find what tells people to press or to listen.
        json: Print a JSON object with ok and flaws (rule, place, line, problem, fix).
        common: What every command takes.
    """
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import counted, harmless

    found = flaws_of(menu, without, common.config, written=written)
    if json:
        show_json({"ok": not found, "flaws": found})
    else:
        for one in found:
            place = f"{menu}:{one['line']}" if one["line"] else menu
            show(harmless(f"{place}: {one['place']}: {one['problem']}. {one['fix']} [{one['rule']}]"))
        say(f"{menu}: {counted(len(found), 'flaw') if found else 'nothing is wrong with it'}.")
    return FAILED if found else DONE


def flaws_of(
    menu: str, without: Sequence[Lack], configuration: Path, *, written: bool = False
) -> list[dict[str, str | int]]:
    """Return the flaws of a menu, in the order of their lines. Raises as ``found_menu``, but not for mistakes of a file."""
    from fernamt.menus.linting import flaws, unable
    from fernamt.outbound import Voice
    from fernamt.settings import ConfigErrors

    try:
        built = found_menu(menu, configuration)
    except ConfigErrors as why:
        return [_mistaken(one) for one in why.mistakes]
    found = list(flaws(built.definition, built.menus, built.questions))
    if without:
        line = Voice(transfer="transfer" not in without, record="record" not in without, speech="speech" not in without)
        found += unable(built.definition, "this channel", line)
    if written:
        found += unable(built.definition, "this channel", None)
    for channel, voice in bound(menu, configuration):
        found += unable(built.definition, channel, voice)
    return sorted((_placed(menu, one) for one in found), key=lambda one: (one["line"], one["place"]))


def _mistaken(one: Mistake) -> dict[str, str | int]:
    return {"rule": "runs", "place": one.key, "line": one.line, "problem": one.problem, "fix": one.fix}


def _placed(menu: str, flaw: Flaw) -> dict[str, str | int]:
    line = 0
    if is_file(menu):
        from fernamt.settings.source import line_of, read_source

        line = line_of(read_source(Path(menu)).lines, flaw.path)
    place = ".".join(flaw.path)
    return {"rule": flaw.rule, "place": place, "line": line, "problem": flaw.problem, "fix": flaw.fix}


def show_menu(
    menu: str,
    /,
    *,
    svg: Annotated[Path | None, Parameter(show_default=False)] = None,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Show a menu as a picture: Mermaid on stdout, or SVG in a file.

    Example: fernamt menu show reception.toml --svg reception.svg

    Args:
        menu: A file, or a plugin's menu by its name.
        svg: Write a picture there instead.
        json: Print its nodes instead: name, kind, and exits with where they lead.
        common: What every command takes.
    """
    from fernamt.cli.menus.drawing import mermaid
    from fernamt.cli.menus.drawing import svg as drawn
    from fernamt.cli.screen import say, show_json
    from fernamt.menus.definition import kind_of

    definition = found_menu(menu, common.config).definition
    if json:
        nodes = [
            {"name": name, "kind": kind_of(node), "exits": definition.exits(name)}
            for name, node in definition.nodes.items()
        ]
        show_json({"id": definition.id, "version": definition.version, "entry": definition.entry, "nodes": nodes})
    elif svg is not None:
        svg.write_text(drawn(definition), "utf-8")
        say(f"{svg}: {len(definition.nodes)} nodes.")
    else:
        sys.stdout.write(mermaid(definition))
    return DONE


def play_menu(
    menu: str,
    /,
    *,
    calls: Annotated[Path | None, Parameter(show_default=False)] = None,
    record: bool = False,
    whole: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Play callers from a file, and say which nodes and exits nobody has seen.

    Time is theirs: a minute of silence takes none. What was heard is compared with the transcript beside the callers, if there is one.

    Example: fernamt menu test reception.toml

    Args:
        menu: A file, or a plugin's menu by its name.
        calls: The callers; without it the file beside the menu, reception.calls.toml.
        record: Write what was heard as the transcript, to be read once and compared from then on.
        whole: Fail unless every node and every exit was seen.
        json: Print a JSON object with calls (name, problem, transcript), problems, coverage and missed.
        common: What every command takes.
    """
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import counted, harmless
    from fernamt.testing import Coverage, read_calls

    place = calls or beside(menu)
    coverage = Coverage(found_menu(menu, common.config))
    played = play_all(coverage, read_calls(place))
    golden = place.with_suffix(".txt")
    text = transcript(played)
    if record:
        golden.write_text(text, "utf-8")
    problems = [f"{one.call.name}: {one.problem}" for one in played if one.problem]
    if not record and golden.is_file() and golden.read_text("utf-8") != text:
        problems.append(f"{golden}: it was heard otherwise. {_difference(golden.read_text('utf-8'), text)}")
    missed = [f"{name} {way}".strip() for name, way in coverage.missed]
    if json:
        shown = [{"name": one.call.name, "problem": one.problem, "transcript": one.transcript} for one in played]
        show_json({"calls": shown, "problems": problems, "coverage": coverage.counts, "missed": missed})
    else:
        for problem in problems:
            show(harmless(problem))
        for one in missed:
            show(harmless(f"nobody has seen: {one}"))
        said = coverage.counts
        say(
            f"{counted(len(played), 'caller')}, {counted(len(problems), 'problem')}; "
            f"nodes {said['nodes_seen']} of {said['nodes']}, exits {said['exits_seen']} of {said['exits']}."
        )
    return FAILED if problems or (whole and missed) else DONE


def beside(menu: str) -> Path:
    """Return the file of the callers that lies beside a menu."""
    if not is_file(menu):
        raise Failure("Name the callers of a plugin's menu: --calls FILE")
    return Path(menu).with_name(Path(menu).name.removesuffix(".toml") + _CALLS)


def play_all(coverage: Coverage, calls: Sequence[Call]) -> list[Played]:
    """Play every caller."""
    from fernamt.testing import Exchange

    return [Exchange(coverage.menu, one).play() for one in calls]


def transcript(played: Sequence[Played]) -> str:
    """Return what all callers heard, as it is kept."""
    return "\n".join(f"# {one.call.name}\n{one.transcript}" for one in played)


def _difference(expected: str, text: str) -> str:
    import difflib

    lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), "recorded", "heard", lineterm="", n=2)
    return "\n" + "\n".join(lines)


def try_menu(
    menu: str,
    /,
    *,
    language: str = "",
    written: bool = False,
    caller: str = "phone:+4930123456",
    common: Common = COMMON,
) -> int:
    """Play a menu in the terminal.

    What you type is what happens: digits are keys, words are said, an empty line is silence; /record, /answered, /busy and
    /no-answer say how it went, /wait 20 lets time pass, /hang up ends it. What a service is asked, you are asked.

    Example: fernamt menu try reception.toml --language en

    Args:
        menu: A file, or a plugin's menu by its name.
        language: That the exchange begins in; without it the menu's first.
        written: Read and type instead of listening: as on a channel of messages.
        caller: Who calls; empty: nobody knows.
        common: What every command takes.
    """
    from fernamt.cli.menus.trying import Trying

    built: BuiltMenu = found_menu(menu, common.config)
    return Trying(built, language=language, written=written, caller=caller).run()
