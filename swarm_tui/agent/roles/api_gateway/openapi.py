"""The door, described for machines."""

from typing import Any

JsonObject = dict[str, Any]
_UNITS = "times are seconds since the epoch, `duration` is milliseconds of the last attempt, `cancel_within` seconds"


def document(
    new_task: JsonObject, new_run: JsonObject, new_answer: JsonObject, new_mail: JsonObject, run_change: JsonObject
) -> JsonObject:
    """Return the OpenAPI document.

    The schemas are of the bodies of POST /tasks, /runs, /asks/{ask_id}, /messages, and of acts on a run.
    """
    schemas: JsonObject = {}
    for given in (new_task, new_run, new_answer, new_mail, run_change):
        schemas |= given.get("$defs", {})
    body, run, answer, mail, change = map(_body, (new_task, new_run, new_answer, new_mail, run_change))
    schemas["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "task_id": {"type": "string"}},
    }
    described: JsonObject = {
        "openapi": "3.1.0",
        "info": {"title": "swarm-tui gateway", "version": "1"},
        "security": [{"bearer": []}, {}],
        "paths": {
            "/tasks": {
                "post": {
                    "summary": "Publish a task; answered when the swarm has accepted it",
                    "parameters": [_parameter("Idempotency-Key", "header", "a repeat with the same key is one task")],
                    "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                    "responses": {
                        "202": {
                            "description": "accepted: `task_id` (of the first, where the key is known) and `state`"
                        },
                        "400": _problem("the body is too deep, of too many values, or not what its headers say"),
                        "409": _problem("the key or the id is taken by a task with another body"),
                        "413": _problem("the task is too large for a message"),
                        "422": _problem("the task is not one"),
                        "503": _problem("nobody accepted it in time"),
                    },
                },
                "get": {
                    "summary": "Tasks, the newest first",
                    "parameters": [_parameter(name, "query", "") for name in ("state", "type", "limit")],
                    "responses": {"200": {"description": f"an array of tasks; {_UNITS}"}},
                },
            },
            "/tasks/{task_id}": {
                "get": {
                    "summary": "One task with every hop",
                    "parameters": [{**_parameter("task_id", "path", ""), "required": True}],
                    "responses": {"200": {"description": f"the task; {_UNITS}"}, "404": _problem("no such task")},
                }
            },
            "/tasks/{task_id}/output": {
                "get": {
                    "summary": "What a task's programs printed; with `Accept: text/plain` as text",
                    "parameters": [
                        {**_parameter("task_id", "path", ""), "required": True},
                        _parameter("attempt", "query", "by default the last that has output"),
                        _parameter("since", "query", "the position in bytes to go on from: the last answer's `next`"),
                        _parameter("lines", "query", "the last so many lines, in place of `since`"),
                    ],
                    "responses": {
                        "200": {
                            "description": "`attempt`, `ended`, `size`, `next`, and `parts` of `start`, `next`, `text`;"
                            " what lies between two that do not meet was left out"
                        },
                        "404": _problem("no output is kept"),
                        "422": _problem("a parameter that is no number"),
                    },
                }
            },
            "/runs": {
                "post": {
                    "summary": "Run a workflow; answered when the swarm has taken it, or refused it whole",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": run}}},
                    "responses": {
                        "202": {"description": "taken: `run_id` and `state`"},
                        "400": _problem("the body is too deep, of too many values, or not what its headers say"),
                        "409": _problem("the id is taken by a run of another workflow, or with other inputs"),
                        "422": _problem("the run is none: the place of the first mistake, and a sentence"),
                        "503": _problem("nobody took it in time"),
                    },
                },
                "get": {
                    "summary": "Runs with their steps, the newest first",
                    "parameters": [_parameter(name, "query", "") for name in ("state", "limit")],
                    "responses": {"200": {"description": "an array, each with 100 steps and the `count` of all"}},
                },
            },
            "/runs/{run_id}": {
                "get": {
                    "summary": "One run with its inputs, and each step's tasks and result",
                    "parameters": [{**_parameter("run_id", "path", ""), "required": True}],
                    "responses": {"200": {"description": "the run"}, "404": _problem("no such run")},
                }
            },
            "/runs/{run_id}/cancel": _run_act("Cancel a run for a person; always with the token", change),
            "/runs/{run_id}/retry": _run_act(
                "Do again what did not succeed of a run, or all from `step` on, for a person; always with the token",
                change,
            ),
            "/schedules": _get("The layout's schedules with their next times", "an array of schedules"),
            "/schedules/{name}/{act}": {
                "post": {
                    "summary": "Pause, resume or fire a schedule for a person; always with the token",
                    "parameters": [
                        {**_parameter("name", "path", ""), "required": True},
                        {**_parameter("act", "path", "pause, resume or fire"), "required": True},
                    ],
                    "responses": {
                        "200": {"description": "done: the schedule as it is now"},
                        "401": _problem("no token, or a wrong one"),
                        "404": _problem("the layout has no such schedule"),
                        "409": _problem("it was refused: the sentence says why"),
                        "503": _problem("no dispatcher answers, or the broker does not let us in as an operator"),
                        "504": _problem("nothing came of it in time"),
                    },
                }
            },
            "/asks": _get("What AI agents ask, oldest first", "an array, with `ask_id`, `tool`, `title`, `diff`"),
            "/asks/{ask_id}": {
                "get": {
                    "summary": "One ask, with its input and its diff",
                    "parameters": [{**_parameter("ask_id", "path", ""), "required": True}],
                    "responses": {"200": {"description": "the ask"}, "404": _problem("nothing waits by that id")},
                },
                "post": {
                    "summary": "Answer for a person, who is named by `by`; always with the token",
                    "parameters": [{**_parameter("ask_id", "path", ""), "required": True}],
                    "requestBody": {"required": True, "content": {"application/json": {"schema": answer}}},
                    "responses": {
                        "200": {"description": "it is written down, and counts"},
                        "401": _problem("no token, or a wrong one"),
                        "403": _problem("the dispatcher refused it"),
                        "404": _problem("nothing waits by that id"),
                        "409": _problem("somebody else answered before: `outcome` and `by` say who and what"),
                        "503": _problem("the broker does not let us in as an operator"),
                        "504": _problem("nobody wrote it down in time"),
                    },
                },
            },
            "/messages": {
                "post": {
                    "summary": "Write to an agent, a role or all for a person; always with the token",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": mail}}},
                    "responses": {
                        "202": {"description": "written down: `message_id`, `state`, `receivers`"},
                        "401": _problem("no token, or a wrong one"),
                        "404": _problem("no agent and no role is called that"),
                        "409": _problem("the id is taken by another message"),
                        "413": _problem("the message is too large"),
                        "422": _problem("the message is none, or was refused"),
                        "503": _problem("nobody took it in time, or the broker does not let us in as an operator"),
                    },
                },
                "get": {
                    "summary": "Mail with its receipts, the newest first",
                    "parameters": [_parameter(name, "query", "") for name in ("agent", "task", "limit")],
                    "responses": {"200": {"description": "an array of messages"}},
                },
            },
            "/messages/{message_id}": {
                "get": {
                    "summary": "One message with its receipts",
                    "parameters": [{**_parameter("message_id", "path", ""), "required": True}],
                    "responses": {"200": {"description": "the message"}, "404": _problem("no such message")},
                }
            },
            "/agents": _get("Agents", "an array of agents"),
            "/status": _get("The whole swarm, as `swarm-tui status --json` has it", "an object"),
            "/healthz": _get("Whether the gateway reaches the broker (503 when not)", "it does"),
            "/metrics": _get("Facts for Prometheus", "text"),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    for path in described["paths"].values():
        if "requestBody" in path.get("post", {}):
            path["post"]["responses"] = _of_any_body() | path["post"]["responses"]
    return described


def _of_any_body() -> JsonObject:
    """Return the refusals of a body that every route has (`json_http.py`)."""
    return {
        "400": _problem("the body is not what its headers say"),
        "408": _problem("the body took too long to come"),
        "413": _problem("the body is too large"),
        "415": _problem("the body is not said to be JSON, or is encoded otherwise than by gzip"),
        "422": _problem("the body is not what the schema says"),
    }


def _run_act(summary: str, change: JsonObject) -> JsonObject:
    return {
        "post": {
            "summary": summary,
            "parameters": [{**_parameter("run_id", "path", ""), "required": True}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": change}}},
            "responses": {
                "200": {"description": "done: `run_id` and its `state`"},
                "401": _problem("no token, or a wrong one"),
                "404": _problem("no such run"),
                "409": _problem("the run is not such that it could be: the sentence says why"),
                "422": _problem("the body, or the run's id, is none"),
                "503": _problem("the broker does not let us in as an operator"),
                "504": _problem("nothing came of it in time"),
            },
        }
    }


def _body(schema: JsonObject) -> JsonObject:
    return {"$ref": schema["$ref"].replace("#/$defs/", "#/components/schemas/")} if "$ref" in schema else schema


def _parameter(name: str, where: str, text: str) -> JsonObject:
    return {"name": name, "in": where, "description": text, "schema": {"type": "string"}}


def _problem(text: str) -> JsonObject:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _get(summary: str, answer: str) -> JsonObject:
    return {"get": {"summary": summary, "responses": {"200": {"description": answer}}}}
