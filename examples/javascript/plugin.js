// A plugin in JavaScript: an agent that has the lines of a text counted by sub-agents, the agent that
// counts one line, one that says what it finds of the machine it runs on, and a tool that rolls dice.
import { spawnSubagent, wait } from 'sublane:plugin/subagent@0.1.0';
import { write } from 'sublane:plugin/log@0.1.0';

const nothing = {
  channels: [], tools: [], kv: [], http: [], files: [], secrets: [], models: [], artifacts: false,
};

// What a run gives back.
const output = (value) => ({ value: JSON.stringify(value), artifacts: [] });

// Why it cannot: what is thrown so is the failure that people read.
const failure = (message) => ({ message, retryable: false });

const agents = {
  'count-lines': {
    description: 'Counts the words of each line, every line by a sub-agent of its own.',
    schema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    run({ text }) {
      const lines = text.split('\n');
      console.log(`${lines.length} lines, begun at ${new Date().toISOString()}`);
      const runs = lines.map((line) => spawnSubagent({
        agent: 'javascript/count-words',
        task: { input: JSON.stringify({ line }), artifacts: [] },
        scope: { ...nothing, cpu: 500n },
        deliver: { tag: 'none' },
        priority: 'normal',
      }).run);
      const { ended } = wait(runs, 'all');
      const counts = ended.map(({ outcome }) => {
        if (outcome.tag !== 'succeeded') throw failure(`a line was not counted: ${outcome.tag}`);
        return JSON.parse(outcome.val.value);
      });
      write('info', `the last of ${counts.length} has ended`);
      return counts;
    },
  },
  'count-words': {
    description: 'Counts the words of a line.',
    schema: { type: 'object', properties: { line: { type: 'string' } }, required: ['line'] },
    run: ({ line }) => line.split(/\s+/).filter((word) => word !== '').length,
  },
  'look-around': {
    description: 'Says what it finds of the machine; waits in between when it is told to.',
    schema: { type: 'object', properties: { sleepMs: { type: 'number' }, url: { type: 'string' } } },
    async run({ sleepMs, url }) {
      const draw = () => Math.floor(Math.random() * 2 ** 32);
      const seen = { before: Date.now(), random: draw() };
      seen.bytes = [...crypto.getRandomValues(new Uint8Array(4))];
      console.log('before', seen.random);
      console.error('one line\nand another');
      if (sleepMs) await new Promise((resolve) => setTimeout(resolve, sleepMs));
      seen.after = Date.now();
      seen.again = draw();
      if (url) seen.fetched = await fetch(url).then((r) => `status ${r.status}`, (e) => `refused: ${e}`);
      return seen;
    },
  },
  spin: {
    description: 'Computes until its purse is empty.',
    schema: {},
    run() { for (;;); },
  },
};

export const agentEntry = {
  listAgents: () => Object.entries(agents).map(([name, { description, schema }]) => (
    { name, description, inputSchema: JSON.stringify(schema) }
  )),
  async run(agent, task) {
    return output(await agents[agent].run(JSON.parse(task.input)));
  },
};

export const toolsEntry = {
  listTools: () => [{
    name: 'roll_dice',
    description: 'Rolls so many dice.',
    inputSchema: JSON.stringify({
      type: 'object',
      properties: { dice: { type: 'integer', minimum: 1, maximum: 100 } },
      required: ['dice'],
    }),
  }],
  callTool(name, args) {
    const { dice } = JSON.parse(args);
    const rolled = Array.from({ length: dice }, () => 1 + Math.floor(Math.random() * 6));
    console.log(`${name}: ${rolled}`);
    return JSON.stringify(rolled);
  },
};
