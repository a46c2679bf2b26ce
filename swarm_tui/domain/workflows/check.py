"""The mistakes of a workflow, each with its place in the file; and those of the inputs that a run is given."""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any

from msgspec import Struct

from swarm_tui.domain.workflows.model import MAX_STEPS, InputType, Step, Workflow
from swarm_tui.domain.workflows.references import (
    INPUTS,
    ITEM,
    OF_A_STEP,
    RUN,
    Reference,
    ReferenceMistake,
    only_reference,
    parse,
    texts,
)
from swarm_tui.protocol.names import InvalidNameError, check_agent_id, check_task_type

Place = tuple[str | int, ...]
_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,47}")
_RESERVED = frozenset({INPUTS, ITEM, RUN})
_TYPES: dict[InputType, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


class Mistake(Struct, frozen=True):
    """A mistake: keys and indices from the top of the file to its place, and a sentence."""

    where: Place
    reason: str


def mistakes(workflow: Workflow) -> list[Mistake]:
    """Return all that is wrong with a workflow whose shape is right."""
    found = list(_of_inputs(workflow))
    if not 1 <= len(workflow.steps) <= MAX_STEPS:
        some = f"at most {MAX_STEPS:,} steps, not {len(workflow.steps):,}" if workflow.steps else "at least one step"
        found.append(Mistake(("steps",), f"a workflow has {some}"))
    for name, step in workflow.steps.items():
        found += _of_step(workflow, name, step)
    cycle = _cycle(workflow)
    if cycle:
        place: Place = ("steps", cycle[0], "needs")
        found.append(Mistake(place, f"a cycle: {' needs '.join([*cycle, cycle[0]])}"))
        return found
    ancestors, bits = _ancestors(workflow), _bits(workflow)
    for name, step in workflow.steps.items():
        found += _of_references(workflow, name, step, partial(_is_among, ancestors[name], bits))
    return found


def _of_inputs(workflow: Workflow) -> Iterator[Mistake]:
    for name, given in workflow.inputs.items():
        where: Place = ("inputs", name)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            yield Mistake(where, f"`{name[:60]}` is no input's name: use A-Z a-z 0-9 _ -")
        if given.default is not None and not fits(given.type, given.default):
            yield Mistake((*where, "default"), f"`default` is no {given.type}")


def _of_step(workflow: Workflow, name: str, step: Step) -> Iterator[Mistake]:
    where: Place = ("steps", name)
    if not _STEP.fullmatch(name) or name in _RESERVED:
        yield Mistake(
            where, f"`{name[:60]}` is no step's name: a letter, then A-Z a-z 0-9 _ -, and none of inputs, item, run"
        )
    try:
        check_task_type(step.type)
    except InvalidNameError as error:
        yield Mistake((*where, "type"), str(error))
    if step.assigned_to is not None and "{" not in step.assigned_to:
        try:
            check_agent_id(step.assigned_to)
        except InvalidNameError as error:
            yield Mistake((*where, "assigned_to"), str(error))
    for at, need in enumerate(step.needs):
        if need not in workflow.steps:
            yield Mistake((*where, "needs", at), f"no step `{need}`{_near(need, workflow)}")
        elif need in step.needs[:at]:
            yield Mistake((*where, "needs", at), f"`{need}` is there twice")
    if step.on != "success" and not step.needs:
        yield Mistake((*where, "on"), f"`on: {step.on}` says nothing of a step that needs none")
    if step.retry is not None and not 1 <= step.retry.max_attempts <= 100:
        yield Mistake((*where, "retry", "max_attempts"), "max_attempts: 1 to 100")
    if step.timeout is not None and not 0 < step.timeout <= 7 * 86400:
        yield Mistake((*where, "timeout"), "timeout: more than 0 and at most 604800 seconds")


def _near(word: str, workflow: Workflow) -> str:
    close = get_close_matches(word, workflow.steps, 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _cycle(workflow: Workflow) -> list[str]:
    """The steps of one cycle, in order; none when there is none."""
    done: set[str] = set()
    for first in workflow.steps:
        path: dict[str, Iterator[str]] = {}
        if first not in done:
            path[first] = iter(workflow.steps[first].needs)
        while path:
            name = next(reversed(path))
            need = next((need for need in path[name] if need in workflow.steps and need not in done), None)
            if need is None:
                done.add(name)
                del path[name]
            elif need in path:
                names = list(path)
                return names[names.index(need) :]
            else:
                path[need] = iter(workflow.steps[need].needs)
    return []


def _ancestors(workflow: Workflow) -> dict[str, int]:
    """Return for each step all that it needs, directly or through others, as bits by `_bits`. There is no cycle.

    Sets of names would take gigabytes for a long chain.
    """
    bits, found = _bits(workflow), dict[str, int]()
    for first in workflow.steps:
        stack = [first]
        while stack:
            name = stack[-1]
            needs = [need for need in workflow.steps[name].needs if need in workflow.steps]
            todo = [need for need in needs if need not in found]
            if todo and name not in found:
                stack += todo
                continue
            mask = 0
            for need in needs:
                mask |= found[need] | bits[need]
            found.setdefault(name, mask)
            stack.pop()
    return found


def _is_among(needed: int, bits: dict[str, int], name: str) -> bool:
    return bool(needed & bits[name])


def _bits(workflow: Workflow) -> dict[str, int]:
    return {name: 1 << at for at, name in enumerate(workflow.steps)}


def _of_references(workflow: Workflow, name: str, step: Step, needed: Callable[[str], bool]) -> Iterator[Mistake]:
    where: Place = ("steps", name)
    for field, text in (("each", step.each), ("when", step.when)):
        if text is not None:
            try:
                reference = only_reference(text)
            except ReferenceMistake as error:
                yield Mistake((*where, field), f"`{field}`: {error}")
            else:
                if why := _wrong(reference, workflow, needed, item=False):
                    yield Mistake((*where, field), why)
    for inner, text in texts(step.payload):
        try:
            parts = parse(text)
        except ReferenceMistake as error:
            yield Mistake((*where, "payload", *inner), str(error))
            continue
        for part in parts:
            if isinstance(part, Reference) and (why := _wrong(part, workflow, needed, item=step.each is not None)):
                yield Mistake((*where, "payload", *inner), why)


def _wrong(reference: Reference, workflow: Workflow, needed: Callable[[str], bool], *, item: bool) -> str:
    """Why there can be nothing to which the reference refers; empty when there can."""
    head, path = reference.head, reference.path
    if head == INPUTS:
        known = bool(path) and path[0] in workflow.inputs
        return "" if known else f"{reference}: no input `{path[0] if path else ''}`; see `inputs:`"
    if head == ITEM:
        return "" if item else f"{reference}: only the payload of a step with `each` has an item"
    if head == RUN:
        return "" if path == ("id",) else f"{reference}: of the run there is {{run.id}} only"
    if head not in workflow.steps:
        return f"{reference}: no step `{head}`{_near(head, workflow)}"
    if not needed(head):
        return f"{reference}: `{head}` is not among what this step needs; add it to `needs`"
    if not path or path[0] not in OF_A_STEP:
        return f"{reference}: of a step there is {', '.join(f'{{{head}.{part}}}' for part in OF_A_STEP)}"
    return ""


def fits(wanted: InputType, value: Any) -> bool:
    """Return whether a value is of an input's type."""
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES[wanted])


def inputs_of(workflow: Workflow, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the inputs of a run, defaults filled in, and a sentence for each that is wrong."""
    wrong = [
        f"no input `{name[:60]}`: the workflow takes {', '.join(workflow.inputs) or 'none'}"
        for name in given
        if name not in workflow.inputs
    ]
    whole = {}
    for name, wanted in workflow.inputs.items():
        value = given.get(name, wanted.default)
        if value is None:
            wrong.append(f"the input `{name}` is missing: it has no default")
        elif not fits(wanted.type, value):
            wrong.append(f"the input `{name}` is no {wanted.type}")
        whole[name] = value
    return whole, wrong
