"""Chat templates: a prompt as the model was trained to be asked (Jinja, as transformers renders it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from pimsim.errors import InputError, Problem


def asked(template: str, prompt: str, texts: Mapping[str, str], file: str) -> str:
    """The text of one question of a user, up to where the answer begins.

    texts: the special tokens by the names that templates know (bos_token, ...).  Templates that write today's
    date get no date (`strftime_now`): they have one of their own, and a run can be repeated.  InputError if
    the template is none, or refuses.
    """
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: object) -> NoReturn:
        raise jinja2.TemplateError(str(message))

    def as_json(value: Any, indent: int | None = None, **more: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent, **more)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    messages = [{"role": "user", "content": prompt}]
    try:
        made: str = environment.from_string(template).render(messages=messages, add_generation_prompt=True, **texts)
    except Exception as error:  # a template is a program: it raises what it likes
        why = f"refuses the prompt: {' '.join(str(error).split())[:300]}; ask with --prompt-ids"
        raise InputError(Problem(file, 1, 1, "chat_template", why)) from error
    return made
