/**
 * A way to a node of one shard on which connections break: after a request went on and before its answer came back, in
 * the middle of a frame, or before anything went through. Seeded; what breaks when depends on timing too.
 *
 * The node must have one shard: a client keeps the address that it dialled for the shard that answers there.
 */
import net from 'node:net';
import type { TestContext } from 'node:test';
import type { SeededRandom } from './random-source.ts';

export class BreakingProxy {
  /** Where the node listens now. */
  target = 0;
  /** Connections broken so far. */
  broken = 0;
  /** Answers that were thrown away with their connection: their requests had gone on. */
  lostAnswers = 0;
  /** How likely a piece of traffic breaks its connection. */
  chance = 0;
  readonly #random: SeededRandom;
  readonly #server: net.Server;
  readonly #sockets: Set<net.Socket> = new Set();

  static async start(context: TestContext, random: SeededRandom): Promise<BreakingProxy> {
    const proxy = new BreakingProxy(random);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    context.after(() => proxy.#close());
    return proxy;
  }

  private constructor(random: SeededRandom) {
    this.#random = random;
    this.#server = net.createServer((client) => this.#join(client));
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  #join(client: net.Socket): void {
    const node = net.connect({ host: '127.0.0.1', port: this.target, noDelay: true });
    client.setNoDelay(true);
    const end = (): void => {
      client.destroy();
      node.destroy();
    };
    for (const socket of [client, node]) {
      this.#sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on('data', (bytes) => {
      if (!this.#breaks()) node.write(bytes);
      else node.write(bytes.subarray(0, this.#random.below(bytes.length + 1)), () => setImmediate(end));
    });
    node.on('data', (bytes) => {
      if (!this.#breaks()) {
        client.write(bytes);
        return;
      }
      this.lostAnswers += 1;
      client.write(bytes.subarray(0, this.#random.below(bytes.length)), end);
    });
  }

  #breaks(): boolean {
    if (!this.#random.chance(this.chance)) return false;
    this.broken += 1;
    return true;
  }

  #close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
