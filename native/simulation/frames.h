/*
 * What the harness and the simulator say to each other over the simulator's stdin and stdout.
 *
 * A frame is: u32 size of what follows, u8 kind, then its fields. Numbers are little-endian.
 * Times are ns of virtual time (u64) since the simulation began. A text is u16 size and bytes; a
 * blob is u32 size and bytes. A node is u8, counted from 0; FRAME_NOBODY is none.
 *
 * The harness speaks, and the simulator answers in order. The simulator never speaks on its own:
 * whatever happens in it is said in the answer to FRAME_ADVANCE, before its FRAME_NOW, in the order
 * in which it happened. So the two take turns, and a run is exact by its seed.
 */
#ifndef DISSEVER_SIMULATION_FRAMES_H
#define DISSEVER_SIMULATION_FRAMES_H

enum {
    FRAME_NOBODY = 0xff,
    FRAME_SIZE_MAX = 64 << 20,
};

enum frame_kind {
    /* From the harness. The answer is FRAME_OK (or FRAME_REFUSED) unless another one is named. */

    /* seed u64, servers u8, count u16, count times (name text, value text). First. -> FRAME_READY */
    FRAME_BEGIN = 1,
    /* until u64. -> what happened, then FRAME_NOW: at `until`, or earlier, right after the first
     * moment at which anything was said. FRAME_NOW says 1 if nothing at all is left to happen. */
    FRAME_ADVANCE = 2,
    /* Draw everything from another seed from now on: seed u64. */
    FRAME_RESEED = 3,
    /* -> FRAME_SUMMARY; the simulator ends then. */
    FRAME_END = 4,

    /* Clients. A connection is a u32 that the harness chooses, counted from 1 and never used again. */
    /* connection u32, node u8. Later: FRAME_OPENED or FRAME_CLOSED. */
    FRAME_OPEN = 10,
    /* connection u32, blob: what a client sends. */
    FRAME_SEND = 11,
    /* connection u32: the client closes it. */
    FRAME_CLOSE = 12,

    /* Processes. */
    FRAME_START = 20,  /* node u8 */
    FRAME_STOP = 21,   /* node u8: ask it to end. Later: FRAME_EXIT */
    FRAME_KILL = 22,   /* node u8, power u8 (1: unsynced writes are lost). -> FRAME_KILLED */
    FRAME_PAUSE = 23,  /* node u8 */
    FRAME_RESUME = 24, /* node u8 */
    FRAME_LOOK = 25,   /* node u8. -> FRAME_SERVER */

    /* The network between nodes. */
    /* count u16, count times (source u8, destination u8): replaces all cuts. */
    FRAME_CUT = 30,
    /* count u16, count times (source u8, destination u8, ten f64 in the order of `Impairment`):
     * replaces all impairments. */
    FRAME_IMPAIR = 31,
    /* -> FRAME_TRAFFIC */
    FRAME_COUNT = 32,
    /* source u8, destination u8: send a datagram of ours. Later: FRAME_ARRIVED for each copy that arrives. */
    FRAME_PROBE = 33,
    /* source u8, destination u8: the same, of a datagram that cuts alone concern. */
    FRAME_REACH = 34,

    /* Disks, clocks, memory. */
    /* node u8, name text, is_on u8, kind u8 (0 slow, 1 error, 2 torn, 3 full), call u8 (0 any,
     * 1 append, 2 metadata, 3 snapshot), probability f64, ms f64, seed u64 */
    FRAME_DISK_RULE = 40,
    FRAME_DISK_HITS = 41,   /* node u8. -> FRAME_HITS */
    FRAME_CLOCK = 42,       /* node u8, offset_s f64, rate f64 */
    FRAME_CLOCK_LOOK = 43,  /* node u8. -> FRAME_OFFSET */
    FRAME_ALLOCATION = 44,  /* node u8, number u64 */
    FRAME_ALLOCATIONS = 45, /* node u8. -> FRAME_FAILED */
    FRAME_WIPE = 46,        /* node u8, which does not run: it forgets everything */

    /* Members, asked of a node. Later: FRAME_CHANGED. */
    /* change u32, node u8 (who is asked), what u8 (0 add, 1 remove, 2 assign, 3 transfer), member
     * u8, role u8 (0 stand-by, 1 voter, 2 spare: as raft.h) */
    FRAME_CHANGE = 50,

    /* From the simulator. */

    FRAME_OK = 100,
    FRAME_REFUSED = 101, /* why text */
    FRAME_READY = 102,   /* library text (name and version) */
    FRAME_NOW = 103,     /* now u64, is_idle u8 */
    /* count u16, count times (name text, value text): the hash of all events, counters, … */
    FRAME_SUMMARY = 104,
    FRAME_KILLED = 105, /* lost u32, kept u32: unsynced writes */
    /* running u8 (0 no, 1 yes, 2 paused), incarnation u32, role u8 (0 none, 1 follower, 2 candidate,
     * 3 leader), leader u8, term u64, vote u8, first u64, last u64, stored u64, commit u64, applied
     * u64, snapshot u64, installed u64 (how many snapshots), count u8, count times (member u8, role
     * u8), digest u64 (of the state machine) */
    FRAME_SERVER = 106,
    /* count u16, count times (source u8, destination u8, sent, lost, duplicated, reordered,
     * corrupted, delayed, cut: u64 each) */
    FRAME_TRAFFIC = 107,
    FRAME_HITS = 108,   /* count u16, count times (name text, hits u64) */
    FRAME_OFFSET = 109, /* offset_s f64 */
    FRAME_FAILED = 110, /* count u64 */

    /* What happened, each with the moment at which it did: time u64 comes first. */
    FRAME_OPENED = 120,  /* connection u32 */
    FRAME_RECEIVED = 121, /* connection u32, blob */
    FRAME_CLOSED = 122,  /* connection u32, reason u8 (0 by the node, 1 refused, 2 reset) */
    FRAME_EXIT = 123,    /* node u8, incarnation u32, status i32, is_asked u8 */
    FRAME_CHANGED = 124, /* change u32, status u32 (0 done), why text */
    FRAME_ARRIVED = 125, /* source u8, destination u8, sent at u64 */
    /* name text (`election-safety`, …), node u8, why text, details blob: an invariant is broken.
     * The details are more fields of its line in simulation.jsonl, a JSON object, or empty. */
    FRAME_VIOLATION = 126,
    /* One line of simulation.jsonl, without its end. */
    FRAME_TRACE = 127, /* blob */
};

#endif
