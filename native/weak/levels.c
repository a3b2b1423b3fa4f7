/*
 * levels.c: the edges that read committed and read atomic demand.
 *
 * Only edges that others do not imply are put. Of a transaction that was read and one that reads,
 * the side with fewer keys is walked along, which gives N^1.5 in all: AWDIT (PLDI 2025).
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "observed.h"
#include "pages.h"

/* From whom the transaction at hand reads a key, of two that differ: the nearer one first. */
struct reads {
    int32_t reader;
    int32_t first, second;
};

struct scratch {
    struct reads *reads; /* by key; those of another reader do not count */
    int32_t *keys;       /* with reads of this reader */
    int64_t keys_n;
    int32_t *met;      /* operation -> the last reader that read from it */
    int32_t *met_at;   /* operation -> where that reader read from it first */
    int32_t *last;     /* key -> who wrote it last in this session */
    int32_t *last_session;
};

static bool scratch_open(struct scratch *scratch, const struct weak *weak)
{
    size_t keys = (size_t)weak->micro->keys_n + 1, vertices = (size_t)weak->n + 1;
    *scratch = (struct scratch){
        .reads = malloc(keys * sizeof *scratch->reads),
        .keys = malloc(keys * sizeof *scratch->keys),
        .met = malloc(vertices * sizeof *scratch->met),
        .met_at = malloc(vertices * sizeof *scratch->met_at),
        .last = malloc(keys * sizeof *scratch->last),
        .last_session = malloc(keys * sizeof *scratch->last_session),
    };
    if (scratch->reads == NULL || scratch->keys == NULL || scratch->met == NULL ||
        scratch->met_at == NULL || scratch->last == NULL || scratch->last_session == NULL)
        return false;
    for (size_t key = 0; key < keys; key++)
        scratch->reads[key].reader = scratch->last_session[key] = NONE;
    for (size_t i = 0; i < vertices; i++)
        scratch->met[i] = NONE;
    return true;
}

static void scratch_close(struct scratch *scratch)
{
    void *blocks[] = {scratch->reads,  scratch->keys, scratch->met,
                      scratch->met_at, scratch->last, scratch->last_session};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
}

/* A read comes before those that are there. */
static void remember(struct scratch *scratch, int32_t reader, int32_t key, int32_t source)
{
    struct reads *reads = &scratch->reads[key];
    if (reads->reader != reader) {
        *reads = (struct reads){reader, source, NONE};
        scratch->keys[scratch->keys_n++] = key;
    } else if (reads->first != source) {
        reads->second = reads->first;
        reads->first = source;
    }
}

/* `seen` comes before `source`, of which the key was read. The initial values come before all. */
static bool demand(struct weak *weak, int32_t seen, int32_t source, int32_t key)
{
    return weak_put(weak, seen, source, GRAPH_COMMIT, key) &&
           (source != weak->n || weak_put(weak, source, seen, GRAPH_SESSION, GRAPH_NO_KEY));
}

static bool demand_key(struct weak *weak, const struct scratch *scratch, int32_t seen, int32_t key)
{
    const struct reads *reads = &scratch->reads[key];
    int32_t source = reads->first == seen ? reads->second : reads->first;
    return source == NONE || demand(weak, seen, source, key);
}

/* `seen` is visible: it comes before whoever wrote what is remembered of the keys it wrote. */
static bool meet(struct weak *weak, const struct scratch *scratch, int32_t reader, int32_t seen)
{
    int64_t from = weak->wrote[seen], to = weak->wrote[seen + 1];
    if (to - from <= scratch->keys_n) {
        for (int64_t i = from; i < to; i++) {
            int32_t key = weak->wrote_key[i];
            if (scratch->reads[key].reader == reader && !demand_key(weak, scratch, seen, key))
                return false;
        }
        return true;
    }
    for (int64_t i = 0; i < scratch->keys_n; i++)
        if (weak_writes(weak, seen, scratch->keys[i]) &&
            !demand_key(weak, scratch, seen, scratch->keys[i]))
            return false;
    return true;
}

/* Backwards, so that only later reads are remembered when one is met. */
static bool read_committed(struct weak *weak, struct scratch *scratch, int32_t reader)
{
    int64_t from = weak->micro->first[reader], to = weak->micro->first[reader + 1];
    scratch->keys_n = 0;
    for (int64_t at = from; at < to; at++) {
        int32_t source = weak->source[at];
        if (source == NONE || scratch->met[source] == reader)
            continue;
        scratch->met[source] = reader;
        scratch->met_at[source] = (int32_t)at;
    }
    for (int64_t at = to - 1; at >= from; at--) {
        int32_t source = weak->source[at];
        if (source == NONE)
            continue;
        if (source != weak->n && scratch->met_at[source] == at &&
            !meet(weak, scratch, reader, source))
            return false;
        remember(scratch, reader, weak->micro->key[at], source);
    }
    return true;
}

static bool read_atomic(struct weak *weak, struct scratch *scratch, int32_t reader, int32_t session)
{
    int64_t from = weak->micro->first[reader], to = weak->micro->first[reader + 1];
    scratch->keys_n = 0;
    for (int64_t at = from; at < to; at++) {
        int32_t source = weak->source[at], key = weak->micro->key[at];
        if (source == NONE)
            continue;
        remember(scratch, reader, key, source);
        if (scratch->last_session[key] == session && scratch->last[key] != source &&
            !demand(weak, scratch->last[key], source, key))
            return false;
    }
    for (int64_t at = from; at < to; at++) {
        int32_t source = weak->source[at];
        if (source == NONE || source == weak->n || scratch->met[source] == reader)
            continue;
        scratch->met[source] = reader;
        if (!meet(weak, scratch, reader, source))
            return false;
    }
    for (int64_t i = weak->wrote[reader]; i < weak->wrote[reader + 1]; i++) {
        scratch->last[weak->wrote_key[i]] = reader;
        scratch->last_session[weak->wrote_key[i]] = session;
    }
    return true;
}

int32_t weak_read_committed(struct weak *weak)
{
    struct scratch scratch;
    bool is_fine = scratch_open(&scratch, weak);
    for (int32_t i = 0; is_fine && i < weak->n; i++)
        is_fine = read_committed(weak, &scratch, i);
    scratch_close(&scratch);
    return is_fine ? WEAK_VALID : WEAK_MEMORY;
}

int32_t weak_read_atomic(struct weak *weak)
{
    struct scratch scratch;
    bool is_fine = scratch_open(&scratch, weak);
    int32_t session = 0;
    for (int32_t place = 0; is_fine && place < weak->session_first[weak->sessions_n]; place++) {
        /* Without sessions each transaction is one of its own. */
        if (place == weak->session_first[session + 1])
            session++;
        is_fine = read_atomic(weak, &scratch, weak->line[place],
                              weak->options->no_sessions ? place : session);
    }
    scratch_close(&scratch);
    return is_fine ? WEAK_VALID : WEAK_MEMORY;
}
