/*
 * registers.c: who read which version of a register from whom.
 *
 * Of each key: who wrote what, then run by run what each transaction read. A write that a later one
 * of the same transaction replaces is no version. versions.c puts the versions in order.
 *
 * Source: Kingsbury and Alvaro, "Elle", VLDB 2020, section 4; Adya, "Weak Consistency", 1999.
 */
#include "registers.h"

static const struct entry NO_ENTRY = {NOBODY, NOBODY};

/* The key at hand. */
struct key {
    struct engine *engine;
    int32_t key;
    int32_t first, end; /* its entries */
};

/* The entries of one transaction on the key. */
struct run {
    int32_t first, end;
    int32_t operation;
    int32_t last_write; /* an entry, or NOBODY */
    int32_t known;      /* the last read or write so far, which says what the next read returns */
    bool has_written;
    int32_t parent;     /* the version that it read before it wrote, or NO_VERSION */
};

static struct entry entry_of(const struct key *key, int32_t e)
{
    return key->engine->entries[e];
}

static int32_t value_of(const struct key *key, int32_t e)
{
    return key->engine->micro->value[entry_of(key, e).micro];
}

static bool is_write(const struct key *key, int32_t e)
{
    return key->engine->micro->kind[entry_of(key, e).micro] == MICRO_WRITE;
}

static int32_t report(struct key *key, enum transactions_kind kind, int32_t at, int32_t other,
                      int32_t value)
{
    struct entry second = other == NOBODY ? NO_ENTRY : entry_of(key, other);
    return engine_report(key->engine, kind, entry_of(key, at), second, key->key, value);
}

static struct run run_at(const struct key *key, int32_t first)
{
    struct run run = {first, first, entry_of(key, first).operation, NOBODY, NOBODY, false,
                      NO_VERSION};
    for (; run.end < key->end && entry_of(key, run.end).operation == run.operation; run.end++)
        if (is_write(key, run.end))
            run.last_write = run.end;
    return run;
}

/* The last write of the transaction that made the write `e`. */
static int32_t last_write(const struct key *key, int32_t e)
{
    int32_t last = e;
    for (int32_t at = e; at < key->end && entry_of(key, at).operation == entry_of(key, e).operation;
         at++)
        if (is_write(key, at))
            last = at;
    return last;
}

/* A read of what a failed transaction wrote. Each value is reported once. */
static int32_t judge_aborted(struct key *key, const struct run *run, int32_t read, int32_t writer,
                             struct slot *slot)
{
    int32_t value = value_of(key, read);
    if (run->last_write > read &&
        report(key, TRANSACTIONS_DIRTY_UPDATE, run->last_write, writer, value) != 0)
        return -1;
    if (slot->mark++ > 0)
        return 0;
    return report(key, TRANSACTIONS_G1A, read, writer, value);
}

/* A read of what another transaction wrote, which so counts. */
static int32_t judge_write(struct key *key, const struct run *run, int32_t read, int32_t writer,
                           const struct slot *slot)
{
    struct engine *engine = key->engine;
    int32_t other = entry_of(key, writer).operation;
    engine->counts[other] = true;
    key->engine->version[read] = slot->is_final ? writer : last_write(key, writer);
    if (!slot->is_final && report(key, TRANSACTIONS_G1B, read, writer, value_of(key, read)) != 0)
        return -1;
    return engine_depend(engine, other, run->operation, GRAPH_WR, key->key);
}

/* What a read shows that does not only repeat what its transaction knew. */
static int32_t judge_evidence(struct key *key, const struct run *run, int32_t read)
{
    int32_t value = value_of(key, read);
    struct slot *slot = &key->engine->slots[value];
    int32_t writer = slot->writer - 1;
    if (slot->is_repeated)
        return 0;
    if (value == 0) {
        key->engine->version[read] = INITIAL_VERSION;
        return 0;
    }
    if (writer < 0)
        return slot->mark++ > 0 ? 0 : report(key, TRANSACTIONS_PHANTOM, read, NOBODY, value);
    if (entry_of(key, writer).operation == run->operation)
        return writer < read ? 0 : report(key, TRANSACTIONS_FUTURE_READ, read, writer, value);
    if (is_failed(key->engine, entry_of(key, writer).operation))
        return judge_aborted(key, run, read, writer, slot);
    return judge_write(key, run, read, writer, slot);
}

/* The first read of a transaction that writes the key later on. */
static int32_t judge_update(struct key *key, struct run *run, int32_t read)
{
    int32_t value = value_of(key, read);
    struct slot *slot = &key->engine->slots[value];
    bool is_own = slot->writer != 0 && entry_of(key, slot->writer - 1).operation == run->operation;
    run->parent = key->engine->version[read];
    if (slot->is_repeated || is_own)
        return 0;
    if (slot->position != 0)
        return report(key, TRANSACTIONS_LOST_UPDATE, read, slot->position - 1, value);
    slot->position = read + 1;
    return 0;
}

static int32_t judge_read(struct key *key, struct run *run, int32_t e)
{
    int32_t value = value_of(key, e);
    int32_t known = run->known;
    if (value == MICRO_NONE || (known != NOBODY && value_of(key, known) == value))
        return 0;
    if (known != NOBODY && report(key, TRANSACTIONS_INTERNAL, e, known, value) != 0)
        return -1;
    if (judge_evidence(key, run, e) != 0)
        return -1;
    run->known = e;
    return known == NOBODY && run->last_write != NOBODY ? judge_update(key, run, e) : 0;
}

static int32_t judge_run(struct key *key, struct run *run)
{
    struct engine *engine = key->engine;
    bool is_ok_run = is_ok(engine, run->operation);
    for (int32_t e = run->first; e < run->end; e++) {
        if (is_write(key, e))
            run->known = e;
        else if (is_ok_run && judge_read(key, run, e) != 0)
            return -1;
    }
    int32_t last = run->last_write;
    if (last != NOBODY && !is_failed(engine, run->operation) &&
        !engine->slots[value_of(key, last)].is_repeated) {
        engine->version[last] = last;
        engine->parent[last] = run->parent;
    }
    return 0;
}

static int32_t judge_key(struct key *key)
{
    keys_index(key->engine, key->key);
    for (int32_t e = key->first; e < key->end; e++)
        key->engine->version[e] = key->engine->parent[e] = NO_VERSION;
    for (int32_t e = key->first; e < key->end;) {
        struct run run = run_at(key, e);
        if (judge_run(key, &run) != 0)
            return -1;
        e = run.end;
    }
    for (int32_t e = key->first; e < key->end; e++)
        if (value_of(key, e) != MICRO_NONE)
            key->engine->slots[value_of(key, e)] = (struct slot){0};
    return 0;
}

int32_t registers_infer(struct engine *engine)
{
    int64_t n = engine->micro->n;
    engine->version = engine_zeros(engine, n, sizeof *engine->version);
    engine->parent = engine_zeros(engine, n, sizeof *engine->parent);
    int32_t status = engine->version == NULL || engine->parent == NULL ? -1 : 0;
    for (int32_t k = 0; status == 0 && k < engine->keys_n; k++) {
        struct key key = {engine, k, engine->key_first[k], engine->key_first[k + 1]};
        status = judge_key(&key);
    }
    if (status == 0)
        status = versions_infer(engine);
    engine_release(engine, engine->parent, n, sizeof *engine->parent);
    engine->parent = NULL;
    return status;
}
