"""A plugin in Python: an agent that has the lines of a text counted by sub-agents, the agent that
counts one line, one that says what it finds of the machine it runs on, and a tool that rolls dice."""

import json
import os
import random
import socket
import sys
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.agent_entry import AgentDefinition
from wit_world.exports.tools_entry import ToolDefinition
from wit_world.imports import log, subagent
from wit_world.imports.types import Failure, Output, Outcome_Succeeded, Task


def refused(what):
    """What comes of something that no plugin may do."""
    try:
        return f"got {what()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def count_lines(text):
    lines = text.split("\n")
    print(f"{len(lines)} lines, begun at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}")
    nothing = subagent.Scope(
        spawn=None, channels=[], tools=[], kv=[], http=[], files=[], secrets=[], models=[], artifacts=False,
        artifact_bytes=None, cpu=2_000, host_calls=None, requests=None, bytes_out=None, bytes_in=None,
        tokens=None, money_micros=None, memory_bytes=None,
    )
    runs = [
        subagent.spawn_subagent(subagent.SpawnRequest(
            agent="python/count-words",
            task=Task(json.dumps({"line": line}), []),
            name=None,
            scope=nothing,
            deliver=subagent.DeliveryPlan_None_(),
            lifetime=None,
            lane=None,
            priority=subagent.Priority.NORMAL,
            timeout=None,
            start=None,
            dedupe_key=None,
        )).run
        for line in lines
    ]
    counts = []
    for ended in subagent.wait(runs, subagent.AnyOrAll.ALL, None).ended:
        if not isinstance(ended.outcome, Outcome_Succeeded):
            raise Err(Failure(f"a line was not counted: {ended.outcome}", False))
        counts.append(json.loads(ended.outcome.value.value))
    log.write(log.Level.INFO, f"the last of {len(counts)} has ended")
    return counts


def count_words(line):
    return len(line.split())


def look_around(sleep_seconds=0):
    # Python seeds it when it is imported, and that was when the component was built.
    random.seed()
    seen = {"before": time.time(), "random": random.getrandbits(32), "bytes": list(os.urandom(4))}
    print("before", seen["random"])
    print("one line\nand another", file=sys.stderr)
    if sleep_seconds:
        time.sleep(sleep_seconds)
    seen["after"] = time.time()
    seen["again"] = random.getrandbits(32)
    seen["environment"] = sorted(os.environ)
    seen["arguments"] = sys.argv
    seen["stdin"] = refused(lambda: sys.stdin.read())
    seen["file"] = refused(lambda: open("/etc/passwd").read())
    seen["write"] = refused(lambda: open("escaped", "w"))
    seen["directory"] = refused(lambda: os.listdir("/"))
    seen["socket"] = refused(lambda: socket.create_connection((b"127.0.0.1", 80)))
    seen["listen"] = refused(lambda: socket.socket().bind((b"127.0.0.1", 0)))
    seen["name"] = refused(lambda: socket.getaddrinfo(b"example.com", 80))
    return seen


def spin():
    while True:
        pass


def fail():
    print("it fails now", file=sys.stderr)
    raise ValueError("the film is torn")


AGENTS = {
    "count-lines": (count_lines, "Counts the words of each line, every line by a sub-agent of its own.",
                    {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}),
    "count-words": (count_words, "Counts the words of a line.",
                    {"type": "object", "properties": {"line": {"type": "string"}}, "required": ["line"]}),
    "look-around": (look_around, "Says what it finds of the machine; waits in between when it is told to.",
                    {"type": "object", "properties": {"sleep_seconds": {"type": "number"}}}),
    "spin": (spin, "Computes until its purse is empty.", {"type": "object"}),
    "fail": (fail, "Raises an exception that nobody catches.", {"type": "object"}),
}


class AgentEntry(exports.AgentEntry):
    def list_agents(self):
        return [AgentDefinition(name, text, json.dumps(schema)) for name, (_, text, schema) in AGENTS.items()]

    def run(self, agent, task):
        work, _, _ = AGENTS[agent]
        return Output(json.dumps(work(**json.loads(task.input))), None, [])


class ToolsEntry(exports.ToolsEntry):
    def list_tools(self):
        dice = {"type": "integer", "minimum": 1, "maximum": 100}
        schema = {"type": "object", "properties": {"dice": dice}, "required": ["dice"]}
        return [ToolDefinition("roll_dice", "Rolls so many dice.", json.dumps(schema))]

    def call_tool(self, name, arguments):
        random.seed()
        rolled = [random.randint(1, 6) for _ in range(json.loads(arguments)["dice"])]
        print(f"{name}: {rolled}")
        return json.dumps(rolled)
