/* See disk.h. */
#include "disk.h"

#include "raft_io.h"
#include "simulation.h"

#include <stdlib.h>
#include <string.h>

enum {
    TORN_MS_MAX = 20,  /* until raft_uv has cut off what a failed write left in a segment */
    RETRY_MS = 1000,   /* as raft_uv tries a failed write again, where it does */
};

/* --- What is held --- */

uint64_t disk_last(const struct disk *disk)
{
    uint64_t last = disk->first + disk->count - 1;
    return disk->snapshot && disk->snapshot->index > last ? disk->snapshot->index : last;
}

const struct entry *disk_entry(const struct disk *disk, uint64_t index)
{
    bool is_there = index >= disk->first && index - disk->first < disk->count;
    return is_there ? &disk->entries[index - disk->first] : NULL;
}

const struct entry *disk_entry_written(const struct disk *disk, uint64_t index)
{
    const struct entry *found = disk_entry(disk, index);
    for (const struct write *write = disk->head; write; write = write->next) {
        if (write->kind == WRITE_APPEND && index >= write->index &&
            index - write->index < write->count)
            found = &write->entries[index - write->index];
        else if (write->kind == WRITE_TRUNCATE && index >= write->index)
            found = NULL;
    }
    return found;
}

bool disk_holds(const struct disk *disk, uint64_t index, uint64_t term)
{
    if (disk->snapshot && disk->snapshot->index >= index)
        return true;
    const struct entry *entry = disk_entry(disk, index);
    return entry && entry->term == term;
}

/* --- Entries and snapshots --- */

void entries_free(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        blob_free(entries[i].data);
    free(entries);
}

struct entry *entries_share(const struct entry *entries, size_t count)
{
    struct entry *shared = host_allocate(count * sizeof *shared);
    for (size_t i = 0; i < count; i++) {
        shared[i] = entries[i];
        blob_share(shared[i].data);
    }
    return shared;
}

struct snapshot *snapshot_share(struct snapshot *snapshot)
{
    if (snapshot)
        snapshot->references++;
    return snapshot;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot || --snapshot->references)
        return;
    blob_free(snapshot->configuration);
    blob_free(snapshot->data);
    free(snapshot);
}

static void write_free(struct write *write)
{
    entries_free(write->entries, write->entries ? write->count : 0);
    snapshot_free(write->snapshot);
    free(write);
}

static void forget_torn(struct disk *disk)
{
    entries_free(disk->torn, disk->torn_count);
    disk->torn = NULL;
    disk->torn_count = 0;
}

/* Entries with indices of `index` and above go. */
static void cut_from(struct disk *disk, uint64_t index)
{
    while (disk->count && disk->first + disk->count > index)
        blob_free(disk->entries[--disk->count].data);
    if (index < disk->first)
        disk->first = index;
}

/* Entries with indices below `index` go. */
static void cut_below(struct disk *disk, uint64_t index)
{
    size_t gone = index > disk->first ? index - disk->first : 0;
    gone = gone < disk->count ? gone : disk->count;
    for (size_t i = 0; i < gone; i++)
        blob_free(disk->entries[i].data);
    memmove(disk->entries, disk->entries + gone, (disk->count - gone) * sizeof *disk->entries);
    disk->count -= gone;
    disk->first += gone;
}

static void store_entries(struct server *server, uint64_t index, const struct entry *entries,
                          size_t count)
{
    struct disk *disk = &server->disk;
    cut_from(disk, index);
    if (disk->count == 0)
        disk->first = index;
    if (index > disk->first + disk->count) {
        disk->has_gap = true; /* They are in a file that no start can use. */
        return;
    }
    if (disk->count + count > disk->capacity) {
        disk->capacity = 2 * (disk->count + count);
        disk->entries = host_resize(disk->entries, disk->capacity * sizeof *disk->entries);
    }
    for (size_t i = 0; i < count; i++) {
        disk->entries[disk->count] = entries[i];
        blob_share(disk->entries[disk->count++].data);
    }
    invariants_stored(server, index, entries, count);
}

static void store_snapshot(struct server *server, const struct write *write)
{
    struct disk *disk = &server->disk;
    uint64_t index = write->snapshot->index;
    snapshot_free(disk->snapshot);
    disk->snapshot = snapshot_share(write->snapshot);
    if (write->trailing == 0) {
        cut_from(disk, 0);
        disk->first = index + 1;
        disk->has_gap = false;
    } else if (index > write->trailing) {
        cut_below(disk, index - write->trailing + 1);
    }
}

/* A write has become durable. */
static void store(struct server *server, const struct write *write)
{
    size_t count = write->count;
    switch (write->kind) {
    case WRITE_APPEND:
        if (server->simulation->options.mutant == MUTANT_LOSE_ACKNOWLEDGED && write->index > 3)
            count--;
        store_entries(server, write->index, write->entries, count);
        trace_synced(server, write->index + count - 1);
        break;
    case WRITE_TRUNCATE:
        cut_from(&server->disk, write->index);
        break;
    case WRITE_SNAPSHOT:
        store_snapshot(server, write);
        break;
    }
}

/* --- Rules --- */

bool disk_set_rule(struct disk *disk, const char *name, const struct disk_rule *rule)
{
    size_t at = 0;
    while (at < disk->rule_count && strcmp(disk->rules[at].name, name))
        at++;
    if (!rule) {
        if (at < disk->rule_count) /* The order of the others stays. */
            memmove(&disk->rules[at], &disk->rules[at + 1],
                    (--disk->rule_count - at) * sizeof *disk->rules);
        return true;
    }
    if (at == DISK_RULES_MAX)
        return false;
    if (at == disk->rule_count)
        disk->rule_count++;
    disk->rules[at] = *rule;
    return true;
}

int disk_struck(struct disk *disk, enum disk_call call, uint64_t *wait_ns)
{
    int kind = -1;
    for (size_t i = 0; i < disk->rule_count; i++) {
        struct disk_rule *rule = &disk->rules[i];
        if (rule->call != DISK_ANY && rule->call != call)
            continue;
        if (!random_chance(&rule->random, rule->probability))
            continue;
        rule->hits++;
        if (rule->kind == DISK_SLOW)
            *wait_ns += rule->wait_ns;
        else if (kind < 0)
            kind = (int)rule->kind;
    }
    return kind;
}

/* --- Writing --- */

static void begin(struct server *server);

/* Where an append would go that is asked for now. */
static uint64_t next_index(const struct disk *disk)
{
    uint64_t next = disk_last(disk) + 1;
    for (const struct write *write = disk->head; write; write = write->next) {
        if (write->kind == WRITE_APPEND)
            next = write->index + write->count;
        else if (write->kind == WRITE_TRUNCATE)
            next = write->index;
        else if (write->trailing == 0)
            next = write->snapshot->index + 1;
    }
    return next;
}

static struct write *take_first(struct disk *disk)
{
    struct write *write = disk->head;
    disk->head = write->next;
    if (!disk->head)
        disk->tail = NULL;
    write->next = NULL;
    return write;
}

/* Take all appends out of the queue: nothing may be written behind one that failed. */
static struct write *take_appends(struct disk *disk)
{
    struct write *appends = NULL, **end = &appends, **from = &disk->head;
    disk->tail = NULL;
    while (*from) {
        struct write *write = *from;
        if (write->kind == WRITE_APPEND) {
            *from = write->next;
            write->next = NULL;
            *end = write;
            end = &write->next;
        } else {
            disk->tail = write;
            from = &write->next;
        }
    }
    return appends;
}

/* A torn write leaves whole requests, from the first on, that a start would find in the segment. */
static void tear(struct server *server)
{
    struct disk *disk = &server->disk;
    size_t kept = random_between(&disk->random, 0, disk->batch), count = 0;
    forget_torn(disk);
    for (const struct write *write = disk->head; kept--; write = write->next) {
        struct entry *shared = entries_share(write->entries, write->count);
        disk->torn = host_resize(disk->torn, (count + write->count) * sizeof *disk->torn);
        memcpy(disk->torn + count, shared, write->count * sizeof *shared);
        free(shared);
        count += write->count;
    }
    disk->torn_count = count;
    disk->torn_until_ns = server->simulation->now_ns +
                          random_between(&disk->random, 0, TORN_MS_MAX * NS_PER_MS);
}

static void fail(struct server *server, int kind)
{
    struct disk *disk = &server->disk;
    int status = kind == DISK_FULL ? RAFT_NOSPACE : RAFT_IOERR;
    server->simulation->faults_of_disks++;
    trace_note(server->simulation, server, kind == DISK_TORN ? "a write fails, torn" : "a write fails");
    if (disk->head->kind == WRITE_SNAPSHOT) {
        struct write *write = take_first(disk);
        disk->batch = 0;
        io_written(server, write, status);
        write_free(write);
    } else {
        if (kind == DISK_TORN)
            tear(server);
        struct write *appends = take_appends(disk);
        disk->batch = 0;
        disk->next_index = next_index(disk);
        for (struct write *write = appends, *next; write; write = next) {
            next = write->next;
            io_written(server, write, status);
            write_free(write);
        }
    }
}

static void succeed(struct server *server)
{
    struct disk *disk = &server->disk;
    forget_torn(disk);
    /* Callbacks may write more, which waits behind: the batch is what was begun. */
    for (size_t left = disk->batch; left; left--) {
        struct write *write = take_first(disk);
        store(server, write);
        io_written(server, write, 0);
        write_free(write);
    }
    disk->batch = 0;
}

static void finished(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    if (event->number == 0)
        succeed(server);
    else if (!RETRIES_FAILED_WRITES || server->is_closing)
        fail(server, (int)event->number - 1);
    else {
        s->faults_of_disks++;
        if (event->number - 1 == DISK_TORN && server->disk.head->kind == WRITE_APPEND)
            tear(server);
        server->disk.batch = 0;
        server->disk.not_before_ns = s->now_ns + server_duration_ns(server, RETRY_MS * NS_PER_MS);
        trace_note(s, server, "a write fails, and is tried again later");
    }
    begin(server);
}

/* Begin with what waits, unless the disk is busy. */
static void begin(struct server *server)
{
    struct simulation *s = server->simulation;
    struct disk *disk = &server->disk;
    if (!disk->head || disk->batch)
        return;
    disk->batch = 1;
    if (disk->head->kind == WRITE_APPEND && s->options.batch)
        for (const struct write *write = disk->head->next; write && write->kind == WRITE_APPEND;
             write = write->next)
            disk->batch++;
    uint64_t ns = random_between(&disk->random, s->options.disk_us_min * NS_PER_US,
                                 s->options.disk_us_max * NS_PER_US);
    if (disk->not_before_ns > s->now_ns)
        ns += disk->not_before_ns - s->now_ns;
    int struck = -1;
    if (disk->head->kind == WRITE_APPEND)
        struck = disk_struck(disk, DISK_APPEND, &ns);
    else if (disk->head->kind == WRITE_SNAPSHOT)
        struck = disk_struck(disk, DISK_SNAPSHOT, &ns);
    schedule(server, ns, EVENT_DISK, finished, NULL, NULL, (uint64_t)(struck + 1));
}

void disk_write(struct server *server, struct write *write)
{
    struct disk *disk = &server->disk;
    if (disk->tail)
        disk->tail->next = write;
    else
        disk->head = write;
    disk->tail = write;
    if (write->kind == WRITE_APPEND)
        disk->next_index = write->index + write->count;
    else if (write->kind == WRITE_TRUNCATE)
        disk->next_index = write->index;
    else if (write->trailing == 0)
        disk->next_index = write->snapshot->index + 1;
    begin(server);
}

/* --- The end of the process --- */

static void drop_queue(struct disk *disk)
{
    while (disk->head)
        write_free(take_first(disk));
    disk->batch = 0;
    disk->not_before_ns = 0;
}

void disk_crash(struct server *server, bool power_failed)
{
    struct disk *disk = &server->disk;
    size_t kept = power_failed ? 0 : random_between(&disk->random, 0, disk->batch);
    disk->kept = disk->lost = 0;
    if (disk->torn_count && server->simulation->now_ns < disk->torn_until_ns && !disk->head)
        store_entries(server, disk->first + disk->count, disk->torn, disk->torn_count);
    forget_torn(disk);
    for (; kept; kept--, disk->kept++) {
        struct write *write = take_first(disk);
        store(server, write);
        write_free(write);
    }
    for (const struct write *write = disk->head; write; write = write->next)
        disk->lost++;
    drop_queue(disk);
    if (disk->kept || disk->lost)
        trace_unsynced(server, disk->lost, disk->kept, power_failed ? "power-failure" : "kill");
}

void disk_wipe(struct disk *disk)
{
    drop_queue(disk);
    forget_torn(disk);
    cut_from(disk, 0);
    snapshot_free(disk->snapshot);
    disk->snapshot = NULL;
    disk->term = disk->vote = 0;
    disk->first = 1;
    disk->has_gap = false;
}
