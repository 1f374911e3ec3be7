/** The bounds of cluster/, each with its reason. Nodes and shards of a map are bounded by the protocol. */

/** Whoever watches the map inside one thread: its listener, its dispatch, its replication streams. */
export const MAP_LISTENERS_MAX = 64;
