/*
 * A server's disk: what survives the end of its process, and the writes that have not yet done so.
 *
 * It behaves as raft_uv does: term and vote are synced before the call returns; appends,
 * truncations and snapshots wait in a queue, appends that wait are written and synced together, and
 * their callbacks run in order, never inside the call that asked. An append that fails takes those
 * behind it with it (where the library's own I/O tries again, it is tried again here).
 */
#ifndef DISSEVER_SIMULATION_DISK_H
#define DISSEVER_SIMULATION_DISK_H

#include "memory.h"
#include "random.h"

struct simulation;
struct server;

struct entry {
    uint64_t term;
    uint64_t digest; /* of type and data */
    uint16_t type;
    struct blob *data;
};

struct snapshot {
    uint32_t references;
    uint64_t index, term, configuration_index;
    struct blob *configuration; /* pairs of bytes: raft id, role */
    struct blob *data;
};

enum write_kind { WRITE_APPEND, WRITE_TRUNCATE, WRITE_SNAPSHOT };

struct write {
    enum write_kind kind;
    uint64_t index; /* of the first entry; where to truncate; of the snapshot */
    struct entry *entries;
    size_t count;
    struct snapshot *snapshot;
    uint32_t trailing; /* entries kept behind a snapshot; 0: the snapshot replaces the log */
    void *request;     /* the library's */
    struct write *next;
};

enum { DISK_RULES_MAX = 32, DISK_RULE_NAME_MAX = 64 };

/* As FRAME_DISK_RULE numbers them. */
enum disk_rule_kind { DISK_SLOW, DISK_ERROR, DISK_TORN, DISK_FULL, DISK_RULE_KINDS };
enum disk_call { DISK_ANY, DISK_APPEND, DISK_METADATA, DISK_SNAPSHOT, DISK_CALLS };

struct disk_rule {
    char name[DISK_RULE_NAME_MAX];
    enum disk_rule_kind kind;
    enum disk_call call;
    double probability;
    uint64_t wait_ns;
    struct random random;
    uint64_t hits;
};

struct disk {
    uint64_t term;
    uint64_t vote; /* raft id; 0 is none */
    struct snapshot *snapshot;
    uint64_t first; /* index of entries[0] */
    struct entry *entries;
    size_t count, capacity;
    /* A torn write's part that a start would find: until `torn_until_ns`, when it is cut off. */
    struct entry *torn;
    size_t torn_count;
    uint64_t torn_until_ns;

    struct write *head, *tail;
    size_t batch; /* of the queue's head that are being written; 0: the disk rests */
    uint64_t next_index;
    struct random random;
    struct disk_rule rules[DISK_RULES_MAX];
    size_t rule_count;
    uint64_t not_before_ns; /* a write that failed is tried again then */
    bool has_gap; /* entries were written behind others that are not there: no start succeeds */
    size_t lost, kept; /* unsynced writes, by the last crash */
};

/* The last index it holds durably, entries or snapshot; 0: nothing. */
uint64_t disk_last(const struct disk *disk);

/* The entry at an index, among the durable ones; NULL: not there. */
const struct entry *disk_entry(const struct disk *disk, uint64_t index);

/* The same among those that wait to be written too, newest first. */
const struct entry *disk_entry_written(const struct disk *disk, uint64_t index);

/* Is the entry of that index and term durable here, itself or in a snapshot? */
bool disk_holds(const struct disk *disk, uint64_t index, uint64_t term);

/* Put a write at the end of the queue, and begin if the disk rests. Owns what it points to. */
void disk_write(struct server *server, struct write *write);

/* Set or clear (`rule` NULL) a rule by name. False: there are too many. */
bool disk_set_rule(struct disk *disk, const char *name, const struct disk_rule *rule);

/* Which kind of failure a call meets now, or -1; `*wait_ns` grows by what slow rules add. */
int disk_struck(struct disk *disk, enum disk_call call, uint64_t *wait_ns);

/*
 * The process ended. What was written and not synced is lost if the power failed; otherwise it is
 * in the kernel's hands and a prefix of it, chosen by chance, survives.
 */
void disk_crash(struct server *server, bool power_failed);

/* Forget everything, and every write that waits. Rules stay. */
void disk_wipe(struct disk *disk);

struct snapshot *snapshot_share(struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);
void entries_free(struct entry *entries, size_t count); /* and the array */
struct entry *entries_share(const struct entry *entries, size_t count);

#endif
