/**
 * `millrace demo`: its options and its help. What it does is demo.ts.
 */
import { Command, InvalidArgumentError } from 'commander';
import { type DemoOptions, runDemo } from './demo.ts';

export function command(): Command {
  return new Command('demo')
    .description('load three million real flights into a node of its own, look them up, scan them')
    .option('--keep', 'leave the node and its data when done, to look around')
    .option('--ci', 'plain lines, no progress bars')
    .option('--data <DIR>', "the node's data directory, which stays; a temporary one by default")
    .option(
      '--port <PORT>',
      'the port of the node; by default a free one, with --keep 7400 when it is free',
      portNumber,
    )
    .addHelpText(
      'after',
      '\nThe flights come with the npm package vega-datasets. Takes about a minute and 1.5 GB of disk; Ctrl-C stops the node.\n' +
        '\nExample:\n  millrace demo --keep\n  millrace get airport ORD',
    )
    .action(async (options: DemoOptions) => {
      process.exitCode = await runDemo(options);
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port from 0 to 65535.');
  return port;
}
