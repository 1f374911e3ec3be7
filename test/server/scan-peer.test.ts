/** Questions to the shard are matched with their answers, whatever the order, and carry no more than they must. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { type BufferedVersions, ShardPeer } from '../../server/scan-peer.ts';
import type { PeerAnswer, PeerRequest } from '../../server/worker-messages.ts';

function peerWith(sent: PeerRequest[]): { peer: ShardPeer; answer: (message: PeerAnswer) => void } {
  let receive: (message: PeerAnswer) => void = () => undefined;
  const peer = new ShardPeer({
    postMessage: (message) => sent.push(message),
    on: (_event, listener) => {
      receive = listener;
    },
  });
  return { peer, answer: (message) => receive(message) };
}

test('answers find the question they belong to', () => {
  const sent: PeerRequest[] = [];
  const { peer, answer } = peerWith(sent);
  const results: (string | BufferedVersions | null)[] = [];
  for (const group of [1, 2]) {
    peer.ask(group, Uint16Array.of(3), (error, versions) => results.push(error?.code ?? versions));
  }
  const [first, second] = sent.map((request) => ('damaged' in request ? 0 : request.requestId));
  const bytes = new Uint8Array(0);
  answer({ requestId: second!, flushNumber: 7, bytes });
  answer({ requestId: first!, code: 'SHUTTING_DOWN', message: 'closing' });
  assert.deepEqual(results, [{ flushNumber: 7, bytes }, 'SHUTTING_DOWN']);
});

test('a question copies its partitions, not the list they are cut from', () => {
  const sent: PeerRequest[] = [];
  const { peer } = peerWith(sent);
  peer.ask(1, new Uint16Array(4096).subarray(10, 12), () => undefined);
  const [question] = sent;
  assert.ok(question !== undefined && 'partitions' in question);
  assert.equal(question.partitions.buffer.byteLength, 4);
});

test('a flush is a question without partitions, answered like the others', () => {
  const sent: PeerRequest[] = [];
  const { peer, answer } = peerWith(sent);
  const results: (string | null)[] = [];
  for (const _ of [1, 2]) peer.flush((error) => results.push(error?.code ?? null));
  const [first, second] = sent;
  assert.ok(first !== undefined && 'isFlush' in first && second !== undefined && 'isFlush' in second);
  answer({ requestId: first.requestId, flushNumber: 0, bytes: new Uint8Array(0) });
  answer({ requestId: second.requestId, code: 'SHUTTING_DOWN', message: 'closing' });
  assert.deepEqual(results, [null, 'SHUTTING_DOWN']);
});

test('a damaged block is told, not asked', () => {
  const sent: PeerRequest[] = [];
  const { peer } = peerWith(sent);
  const damaged = { keyHi: 1, keyLo: 7, fault: 'checksum differs' };
  peer.report(damaged);
  assert.deepEqual(sent, [{ damaged }]);
});
