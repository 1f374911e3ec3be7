/**
 * `npm run kill -- --rounds N --seed S`: the kills of shard-kill.test.ts, as many as asked for, without the runner's time limit.
 */
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '2000' }, seed: { type: 'string' } },
});
process.env['KILL_ROUNDS'] = values.rounds;
if (values.seed !== undefined) process.env['MILLRACE_SEED'] = values.seed;
await import('./shard-kill.test.ts');
